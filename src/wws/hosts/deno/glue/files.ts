// Files of the project's public folder, beside this one.
type Octets = Uint8Array<ArrayBuffer>;

const PIECE = 65536;

// Throws where it is not there, or has another size than when the project was built.
export async function opened(name: string, size: number): Promise<Deno.FsFile> {
  const file = await Deno.open(`${import.meta.dirname}/public/${name}`);
  if ((await file.stat()).size === size) return file;
  file.close();
  throw new Error("another size");
}

export async function whole(file: Deno.FsFile): Promise<Octets> {
  return await new Response(file.readable).bytes();
}

// `left` bytes from `start` on; the file is closed at the end, and when nobody wants more.
export async function part(file: Deno.FsFile, start: number, left: number): Promise<ReadableStream<Octets>> {
  await file.seek(start, Deno.SeekMode.Start);
  return new ReadableStream<Octets>({
    async pull(controller) {
      const piece = new Uint8Array(Math.min(PIECE, left));
      const count = await file.read(piece);
      if (count === null) throw new Error("it has become shorter");
      controller.enqueue(piece.subarray(0, count));
      left -= count;
      if (left > 0) return;
      file.close();
      controller.close();
    },
    cancel: () => file.close(),
  });
}
