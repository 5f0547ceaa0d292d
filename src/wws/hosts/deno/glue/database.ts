// Deno KV as the gateway's Python uses it: texts, bytes and numbers cross the border, nothing else.

const ROOT = "wws";
const HEAD = 9; // bytes of a value that a listing shows: its expiry and kind

function options(ttl: number): { expireIn?: number } {
  return ttl > 0 ? { expireIn: Math.ceil(ttl) } : {};
}

// A database in a file is locked for all other processes while one writes, and Deno says so at once instead of waiting. What was
// refused so has not been done. So it is asked again: 18 times, within half a second.
const WAITS = [1, 2, 4, 8, 16, ...new Array<number>(13).fill(32)]; // ms, each between half of it and the whole
const LOCKED = /database (table )?is locked/; // SQLITE_BUSY, SQLITE_LOCKED (sqlite.org/rescode.html)

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const wait of WAITS) {
    try {
      return await work();
    } catch (reason) {
      if (!(reason instanceof Error && LOCKED.test(reason.message))) throw reason;
    }
    await new Promise((done) => setTimeout(done, wait * (1 + Math.random()) / 2));
  }
  return await work();
}

export async function opened(): Promise<Database> {
  return new Database(await patiently(() => Deno.openKv(Deno.env.get("WWS_KV"))));
}

export class Database {
  constructor(private readonly kv: Deno.Kv) {}

  // The version (20 letters) and the value; nothing where there is no record.
  async get(table: string, key: string): Promise<Uint8Array> {
    const entry = await patiently(() => this.kv.get<Uint8Array>([ROOT, table, key]));
    if (entry.versionstamp === null) return new Uint8Array();
    const found = new Uint8Array(20 + entry.value.length);
    new TextEncoder().encodeInto(entry.versionstamp, found);
    found.set(entry.value, 20);
    return found;
  }

  async put(table: string, key: string, value: Uint8Array, ttl: number): Promise<void> {
    await patiently(() => this.kv.set([ROOT, table, key], value, options(ttl)));
  }

  // Writes if the record still has the version that was read; "" when it has not.
  async swap(table: string, key: string, stamp: string, value: Uint8Array, ttl: number): Promise<string> {
    const place = [ROOT, table, key];
    const done = await patiently(() =>
      this.kv.atomic().check({ key: place, versionstamp: stamp || null }).set(place, value, options(ttl)).commit()
    );
    return done.ok ? done.versionstamp : "";
  }

  async delete(table: string, key: string): Promise<void> {
    await patiently(() => this.kv.delete([ROOT, table, key]));
  }

  async list(table: string, start: string, end: string, limit: number): Promise<string> {
    const range = { start: [ROOT, table, start], end: [ROOT, table, end] };
    const found = await patiently(() => Array.fromAsync(this.kv.list<Uint8Array>(range, { limit })));
    return JSON.stringify(found.map(({ key, value }) => [String(key[2]), btoa(String.fromCharCode(...value.subarray(0, HEAD)))]));
  }
}
