// The glue's part of the border by itself: what has ended leaves nothing behind. Run by test_deno.py in a folder that was built.
import { Border, CUT, FAILED, LATE } from "./border.ts";
import { type Database } from "./database.ts";

type Told = [number, string, Uint8Array | undefined];

const border = new Border({} as Database);
const waiting = new Map<number, (told: Told) => void>();
let last = 0, left: number[] = [];
border.settle = (wait, status, text, data) => waiting.get(wait)!([status, text, data]);
border.leave = (number) => left.push(number);

function ask(what: (wait: number) => void): Promise<Told> {
  const number = ++last;
  const told = new Promise<Told>((resolve) => waiting.set(number, resolve));
  what(number);
  return told;
}

function same(found: unknown, wanted: unknown, what: string): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: ${JSON.stringify(found)} and not ${JSON.stringify(wanted)}`);
  }
}

const text = (data?: Uint8Array) => new TextDecoder().decode(data);
const octets = (words: string) => new TextEncoder().encode(words);
const request = (init: RequestInit = {}) => new Request("http://here/a", init);

// a body like that of a provider: two pieces, with a pause, then the end, or an error
function pieces(cut: boolean): ReadableStream<Uint8Array> {
  let count = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((done) => setTimeout(done, 5));
      if (++count < 3) controller.enqueue(octets(`piece ${count}`));
      else if (cut) controller.error(new Error("broken"));
      else controller.close();
    },
  });
}

const upstream = Deno.serve({ port: 0, onListen: () => {} }, async (asked) => {
  const path = new URL(asked.url).pathname;
  if (path === "/whole") return Response.json({ got: await asked.text() });
  if (path === "/silent") return new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  if (path === "/slow") await new Promise((done) => setTimeout(done, 300));
  return new Response(pieces(path === "/cut"));
});
const at = (path: string) => `http://127.0.0.1:${upstream.addr.port}${path}`;
const send = (path: string, body?: string, patience = 5000, gather = 0) =>
  ask((wait) =>
    border.send(wait, "POST", at(path), "", body === undefined ? undefined : octets(body), 0, patience, 5000, gather)
  );

// answered at once, and later
border.fetch = (number) => border.answer(number, 200, "x-a: b\r\n", octets("now"));
const now = border.serve(request(), "") as Response;
same([now.headers.get("x-a"), await now.text()], ["b", "now"], "at once");
border.fetch = (number) => setTimeout(() => border.answer(number, 204, ""), 1);
same((await border.serve(request(), "")).status, 204, "later");
same(border.open, 0, "after answers");

// a body that is here, and one that nobody reads
border.fetch = (number) => {
  ask((wait) => border.body(wait, number)).then(([status, , data]) => {
    same([status, text(data), text(border.ready(number))], [1, "short", "short"], "a body");
    border.answer(number, 200, "");
  });
};
same(
  (await border.serve(request({ method: "POST", body: "short", headers: { "content-length": "5" } }), "")).status,
  200,
  "read",
);
same(border.open, 0, "after bodies");

// a stream to its end, one that is cut, and one whose reader leaves
border.fetch = (number) => {
  border.stream(number, 200, "");
  same(border.write(number, octets("one ")), 1, "room");
  border.write(number, octets("two"));
  border.end(number, true);
};
same(await (await border.serve(request(), "")).text(), "one two", "a stream");
border.fetch = (number) => {
  border.stream(number, 200, "");
  border.end(number, false);
};
same(await (await border.serve(request(), "")).text().catch(() => "cut"), "cut", "a stream that is cut");
let streaming = 0;
border.fetch = (number) => border.stream(streaming = number, 200, "");
const reader = (await border.serve(request(), "")).body!.getReader();
same(border.write(streaming, new Uint8Array(100_000)), 0, "no room");
const drained = ask((wait) => border.drained(wait, streaming));
await reader.cancel();
same(
  [(await drained)[0], border.left(streaming), border.write(streaming, octets("x"))],
  [FAILED, true, FAILED],
  "the reader left",
);
same(left, [streaming], "who is told");
same(border.open, 0, "after streams");

// a client that leaves before its answer
left = [];
border.fetch = () => {};
const control = new AbortController();
const unanswered = border.serve(request({ signal: control.signal }), "");
control.abort();
same([(await unanswered).status, left.length, border.open], [499, 1, 0], "left before the answer");

// upstreams: whole, in pieces, cut, late, refused, stopped, handed on
same(text((await send("/whole", "body"))[2]), '{"got":"body"}', "whole");
const wanted = async (path: string, gather = 0): Promise<[number, string]> => {
  const [status, , none] = await send(path, undefined, 5000, gather);
  same([status, none], [200, undefined], path);
  let found = "";
  for (const number = last;;) {
    const [state, , data] = await ask((wait) => border.read(wait, number));
    found += text(data);
    if (state !== 1) return [state < 0 ? FAILED : 0, found];
  }
};
same(await wanted("/pieces"), [0, "piece 1piece 2"], "in pieces");
same(await wanted("/cut"), [FAILED, "piece 1piece 2"], "cut");
const gathered = await send("/pieces", undefined, 5000, 1000);
same([gathered[0], text(gathered[2])], [200, "piece 1piece 2"], "gathered with the head");
same(await wanted("/pieces", 2), [0, "piece 1piece 2"], "some of it gathered");
same(await wanted("/cut", 1000), [FAILED, "piece 1piece 2"], "what was gathered before a cut");
same((await send("/silent", undefined, 5000, 5)).filter((_, at) => at !== 1), [200, null], "a head that nothing follows");
const silent = last, asked = ask((wait) => border.read(wait, silent));
border.stop(silent);
same((await asked)[0] <= 0, true, "an end while it is waited for");
same((await send("/slow", undefined, 50))[0], LATE, "late");
const dead = Deno.listen({ port: 0 });
dead.close();
same(
  (await ask((wait) => border.send(wait, "GET", `http://127.0.0.1:${dead.addr.port}/`, "", undefined, 0, 5000, 5000, 0)))[0],
  FAILED,
  "refused",
);
await send("/pieces");
border.stop(last);
same((await ask((wait) => border.read(wait, last - 1)))[0], FAILED, "stopped");
await send("/pieces");
const from = last;
border.fetch = (number) => border.hand(number, 200, "", from);
same(await (await border.serve(request(), "")).text(), "piece 1piece 2", "handed on");
same([border.open, CUT], [0, -3], "after upstreams");
await upstream.shutdown();
border.log("what was told last");
console.log("well");
Deno.exit(0);
