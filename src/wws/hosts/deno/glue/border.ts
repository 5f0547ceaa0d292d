// What crosses between JavaScript and Python: numbers, texts and bytes, never objects. Whoever waits in Python has a number, and is
// told by `settle`: a status (below 0: it failed), a text, bytes. A head is a text too: "name\nvalue\nname\nvalue" on its way in,
// "name: value\r\n" for each field on its way out.
import { type Database } from "./database.ts";
import { opened, part, whole } from "./files.ts";
import { log } from "./log.ts";

export const FAILED = -1, LATE = -2, CUT = -3, SLOW = -4;
const WHOLE = 65536; // bytes of a text that is read at once, and crosses with its head
const TEXTS = /^(application\/json|text\/plain)/;
const BODY = 65536; // bytes of a request's body that is read before anybody asks for it
const HOPS = 16; // microtasks in which a piece comes that is here already
const MUCH = 65536; // bytes of gathered pieces that are given at once
const ROOM = 65536; // bytes that wait for a client before whoever sends has to wait
const NONE = new Uint8Array();

type Settle = (wait: number, status: number, text: string, data?: Uint8Array) => void;
type Fetch = (number: number, method: string, url: string, head: string, client: string, body: boolean) => void;
type Octets = Uint8Array<ArrayBuffer>;
type Bytes = ReadableStream<Octets>;
type Reader = ReadableStreamDefaultReader<Octets>;
type Step = ReadableStreamReadResult<Octets>;

class Asked {
  answer?: Response;
  resolve?: (response: Response) => void;
  reader?: Reader;
  reading?: Promise<Octets>;
  data?: Octets;
  constructor(readonly request: Request) {}
}

class Outgoing {
  controller!: ReadableStreamDefaultController<Uint8Array>;
  left = false;
  waiting: number[] = [];
}

class Upstream {
  body?: Bytes;
  reader?: Reader;
  next?: Promise<Step>; // asked for already
  early?: Octets; // that came soon after the head
  readonly abort = new AbortController();
  // Pieces that come within `gather` milliseconds are given as one.
  constructor(readonly gather = 0) {}
}

function flat(headers: Headers): string {
  let text = "";
  for (const [name, value] of headers) text += `${name}\n${value}\n`;
  return text.slice(0, -1);
}

function pairs(head: string): [string, string][] {
  const found: [string, string][] = [];
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) found.push([line.slice(0, colon), line.slice(colon + 2)]);
  }
  return found;
}

function hasBody(request: Request): boolean {
  if (request.method === "GET" || request.method === "HEAD") return false;
  const length = request.headers.get("content-length");
  return length === null ? request.body !== null : length !== "0";
}

export class Border {
  // Python's own, from its start on
  settle: Settle = () => {};
  fetch: Fetch = () => {};
  leave: (number: number) => void = () => {};

  readonly log = log;

  #number = 0;
  #asked = new Map<number, Asked>();
  #outgoing = new Map<number, Outgoing>();
  #upstreams = new Map<number, Upstream>();
  #bytes = (wait: number) => (data: Uint8Array) => this.settle(wait, 1, "", data);
  #text = (wait: number) => (text: string | void) => this.settle(wait, 1, text ?? "");
  #failed = (wait: number) => (reason: unknown) => this.settle(wait, FAILED, String(reason));

  constructor(private readonly database: Database) {}

  // Requests, answers and exchanges with upstreams that have not come to their end.
  get open(): number {
    return this.#asked.size + this.#outgoing.size + this.#upstreams.size;
  }

  // requests

  serve(request: Request, client: string): Response | Promise<Response> {
    const number = ++this.#number;
    const asked = new Asked(request);
    this.#asked.set(number, asked);
    const body = hasBody(request);
    if (body && Number(request.headers.get("content-length") ?? Infinity) <= BODY) {
      asked.reading = request.bytes();
      asked.reading.then((data) => asked.data = data, () => {}); // that it has failed is told to whoever asks
    }
    this.fetch(number, request.method, request.url, flat(request.headers), client, body);
    if (asked.answer !== undefined) return asked.answer;
    request.signal.addEventListener("abort", () => {
      if (asked.answer !== undefined) return;
      this.#give(number, new Response(null, { status: 499 }));
      this.#asked.delete(number);
      this.leave(number);
    });
    return new Promise((resolve) => asked.resolve = resolve);
  }

  body(wait: number, number: number): void {
    const asked = this.#asked.get(number);
    if (asked === undefined) return this.#gone(wait);
    asked.reading ??= asked.request.bytes();
    asked.reading.then(this.#bytes(wait), this.#failed(wait));
  }

  // The body, if it is here.
  ready(number: number): Octets | undefined {
    return this.#asked.get(number)?.data;
  }

  piece(wait: number, number: number): void {
    const asked = this.#asked.get(number);
    if (!asked?.request.body) return this.#gone(wait);
    this.#read(wait, asked.reader ??= asked.request.body.getReader());
  }

  answer(number: number, status: number, head: string, data?: Octets): void {
    this.#give(number, new Response(data, { status, headers: pairs(head) }));
    this.#asked.delete(number);
  }

  // The answer of an upstream that nobody looks into.
  hand(number: number, status: number, head: string, from: number): void {
    this.#give(number, new Response(this.#upstreams.get(from)?.body, { status, headers: pairs(head) }));
    this.#upstreams.delete(from);
    this.#asked.delete(number);
  }

  stream(number: number, status: number, head: string): void {
    const out = new Outgoing();
    const tell = (state: number) => out.waiting.splice(0).forEach((wait) => this.settle(wait, state, ""));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        out.controller = controller;
      },
      pull: () => tell(1),
      cancel: () => {
        out.left = true;
        this.#outgoing.delete(number);
        this.#asked.delete(number);
        tell(FAILED);
        this.leave(number);
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: ROOM }));
    this.#outgoing.set(number, out);
    this.#give(number, new Response(body, { status, headers: pairs(head) }));
  }

  // 1: there is room for more; 0: wait for `drained`; below 0: the client has left.
  write(number: number, data: Uint8Array): number {
    const out = this.#outgoing.get(number);
    if (out === undefined || out.left) return FAILED;
    out.controller.enqueue(data);
    return (out.controller.desiredSize ?? 0) > 0 ? 1 : 0;
  }

  drained(wait: number, number: number): void {
    const out = this.#outgoing.get(number);
    if (out === undefined || out.left) return this.#gone(wait);
    out.waiting.push(wait);
  }

  left(number: number): boolean {
    return this.#outgoing.get(number)?.left ?? true;
  }

  end(number: number, whole: boolean): void {
    const out = this.#outgoing.get(number);
    this.#outgoing.delete(number);
    this.#asked.delete(number);
    if (out === undefined || out.left) return;
    if (whole) out.controller.close();
    else out.controller.error(new Error("the answer is not whole"));
  }

  #give(number: number, response: Response): void {
    const asked = this.#asked.get(number);
    if (asked === undefined || asked.answer !== undefined) return;
    asked.answer = response;
    asked.resolve?.(response);
  }

  // Python is never told while it asks.
  #gone(wait: number): void {
    queueMicrotask(() => this.settle(wait, FAILED, "it is gone"));
  }

  #read(wait: number, reader: Reader): void {
    reader.read().then(
      ({ done, value }) => done ? this.settle(wait, 0, "") : this.settle(wait, 1, "", value),
      this.#failed(wait),
    );
  }

  // upstreams: the number of whoever waits for the head is that of the exchange

  send(
    number: number,
    method: string,
    url: string,
    head: string,
    body: Octets | undefined,
    from: number,
    patience: number,
    idle: number,
    gather: number,
  ): void {
    const upstream = new Upstream(gather);
    this.#upstreams.set(number, upstream);
    const unread = from ? this.#asked.get(from)?.request.body : null;
    const init: RequestInit & { duplex?: string } = {
      method,
      headers: pairs(head),
      redirect: "manual",
      signal: upstream.abort.signal,
    };
    init.body = body ?? unread;
    if (unread) init.duplex = "half"; // Fetch, section 5.4: asked for by every body that is a stream
    this.#exchange(number, url, init, upstream, patience, idle);
  }

  async #exchange(
    number: number,
    url: string,
    init: RequestInit,
    upstream: Upstream,
    patience: number,
    idle: number,
  ): Promise<void> {
    let late = 0;
    const ring = (status: number) => () => {
      late = status;
      upstream.abort.abort();
    };
    let timer = setTimeout(ring(LATE), patience);
    let answer: Response | undefined, head = "", data: Uint8Array | undefined, status = FAILED;
    try {
      answer = await fetch(url, init);
      clearTimeout(timer);
      head = flat(answer.headers);
      status = answer.status;
      if (answer.body === null || init.method === "HEAD") {
        data = NONE;
      } else if (short(answer.headers)) {
        timer = setTimeout(ring(SLOW), idle);
        data = await answer.bytes();
      } else {
        upstream.body = answer.body;
        if (upstream.gather > 0) {
          const [early, last] = await this.#pieces(upstream, answer.body.getReader(), false);
          if (last) upstream.body = undefined, data = early;
          else upstream.early = early;
        }
      }
    } catch (reason) {
      status = late || (answer === undefined ? FAILED : CUT);
      head = String(reason);
    }
    clearTimeout(timer);
    if (upstream.body === undefined) this.#upstreams.delete(number);
    this.settle(number, status, head, data);
  }

  // 2: it was the last.
  read(wait: number, number: number): void {
    const upstream = this.#upstreams.get(number);
    if (!upstream?.body) return this.#gone(wait);
    const early = upstream.early;
    upstream.early = undefined;
    if (early?.length) return queueMicrotask(() => this.settle(wait, 1, "", early));
    this.#pieces(upstream, upstream.reader ?? upstream.body.getReader(), true).then(([data, last]) => {
      if (last) this.#upstreams.delete(number);
      this.settle(wait, last ? (data.length ? 2 : 0) : 1, "", data);
    }, (reason) => {
      this.#upstreams.delete(number);
      this.settle(wait, FAILED, String(reason));
    });
  }

  // What comes, as one piece, and whether it was the last. It waits for the first, if it `waits`; then for what is here already,
  // or comes within `gather` milliseconds. That a later read has failed is told to whoever asks next.
  async #pieces(upstream: Upstream, reader: Reader, waits: boolean): Promise<[Octets, boolean]> {
    const { gather } = upstream;
    const parts: Octets[] = [];
    let step: Step | undefined, size = 0, timer: ReturnType<typeof setTimeout> | undefined, over: Promise<void> | undefined;
    upstream.reader = reader;
    do {
      const next = upstream.next ??= reader.read();
      step = undefined as Step | undefined;
      const came = next.then((found) => {
        step = found;
        upstream.next = undefined;
      }, () => {});
      if (waits && !parts.length) await next;
      else if (gather > 0) await Promise.race([came, over ??= new Promise((done) => timer = setTimeout(done, gather))]);
      else for (let hop = 0; hop < HOPS && step === undefined; hop++) await undefined;
      if (step?.value) parts.push(step.value), size += step.value.length;
    } while (step?.done === false && size < MUCH);
    clearTimeout(timer);
    return [joined(parts), step?.done === true];
  }

  // Cancels the body too: a signal is forgotten once its request is collected, and aborting does nothing then.
  stop(number: number): void {
    const upstream = this.#upstreams.get(number);
    this.#upstreams.delete(number);
    upstream?.abort.abort();
    (upstream?.reader ?? upstream?.body)?.cancel().catch(() => {});
  }

  // files of the project: bytes `start` to `end` as a body like that of an upstream, or all of them at once, where `end` is below 0

  file(number: number, name: string, size: number, start: number, end: number): void {
    opened(name, size).then(async (file) => {
      if (end < 0) return this.settle(number, 1, "", (await whole(file)) as Octets);
      const upstream = new Upstream();
      upstream.body = await part(file, start, end - start + 1);
      this.#upstreams.set(number, upstream);
      this.settle(number, 1, "");
    }).catch(this.#failed(number));
  }

  // the database

  get(wait: number, table: string, key: string): void {
    this.database.get(table, key).then(this.#bytes(wait), this.#failed(wait));
  }

  put(wait: number, table: string, key: string, value: Uint8Array, ttl: number): void {
    this.database.put(table, key, value, ttl).then(this.#text(wait), this.#failed(wait));
  }

  swap(wait: number, table: string, key: string, stamp: string, value: Uint8Array, ttl: number): void {
    this.database.swap(table, key, stamp, value, ttl).then(this.#text(wait), this.#failed(wait));
  }

  remove(wait: number, table: string, key: string): void {
    this.database.delete(table, key).then(this.#text(wait), this.#failed(wait));
  }

  list(wait: number, table: string, start: string, end: string, limit: number): void {
    this.database.list(table, start, end, limit).then(this.#text(wait), this.#failed(wait));
  }
}

function joined(parts: Octets[]): Octets {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function short(headers: Headers): boolean {
  const length = headers.get("content-length");
  if (length === null || !(Number(length) <= WHOLE) || headers.has("content-encoding")) return false;
  return TEXTS.test(headers.get("content-type") ?? "");
}
