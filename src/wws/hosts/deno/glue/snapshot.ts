// Written by `wws build --target deno`. Makes snapshot.bin: Python's memory after every import, so that a start takes a third of a
// second. To be made anew after every build, with the same Pyodide; no secret is read here.
import { bundle, gateway, python, SNAPSHOT } from "./python.ts";

const py = await python({ _makeSnapshot: true });
gateway(py).warm(bundle());
// deno-lint-ignore no-explicit-any
const memory: Uint8Array = (py as any).makeMemorySnapshot();
Deno.writeFileSync(SNAPSHOT, memory);
console.error(`${memory.length} bytes`);
Deno.exit(0);
