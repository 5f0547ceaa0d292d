// Deno KV as the gateway's Python uses it: texts, bytes and numbers cross the border, nothing else.

const ROOT = "wws";
const HEAD = 9; // bytes of a value that a listing shows: its expiry and kind

function options(ttl: number): { expireIn?: number } {
  return ttl > 0 ? { expireIn: Math.ceil(ttl) } : {};
}

export class Database {
  constructor(private readonly kv: Deno.Kv) {}

  // The version (20 letters) and the value; nothing where there is no record.
  async get(table: string, key: string): Promise<Uint8Array> {
    const entry = await this.kv.get<Uint8Array>([ROOT, table, key]);
    if (entry.versionstamp === null) return new Uint8Array();
    const found = new Uint8Array(20 + entry.value.length);
    new TextEncoder().encodeInto(entry.versionstamp, found);
    found.set(entry.value, 20);
    return found;
  }

  async put(table: string, key: string, value: Uint8Array, ttl: number): Promise<void> {
    await this.kv.set([ROOT, table, key], value, options(ttl));
  }

  // Writes if the record still has the version that was read; "" when it has not.
  async swap(table: string, key: string, stamp: string, value: Uint8Array, ttl: number): Promise<string> {
    const place = [ROOT, table, key];
    const done = await this.kv.atomic()
      .check({ key: place, versionstamp: stamp || null })
      .set(place, value, options(ttl))
      .commit();
    return done.ok ? done.versionstamp : "";
  }

  async delete(table: string, key: string): Promise<void> {
    await this.kv.delete([ROOT, table, key]);
  }

  async list(table: string, start: string, end: string, limit: number): Promise<string> {
    const rows: [string, string][] = [];
    const range = { start: [ROOT, table, start], end: [ROOT, table, end] };
    for await (const entry of this.kv.list<Uint8Array>(range, { limit })) {
      rows.push([String(entry.key[2]), btoa(String.fromCharCode(...entry.value.subarray(0, HEAD)))]);
    }
    return JSON.stringify(rows);
  }
}
