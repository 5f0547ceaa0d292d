// Python, with the gateway in it: from the memory snapshot that the build step made, or the plain way.
import { loadPyodide, type PyodideAPI } from "pyodide";

const here = (name: string) => new URL(`./${name}`, import.meta.url);
const MODULE = "wws.hosts.deno.main";

export const SNAPSHOT = here("snapshot.bin");
export const bundle = (): string => Deno.readTextFileSync(here("bundle.json"));
export const environment = (name: string): string => Deno.env.get(name) ?? "";

// The options are Pyodide's own and not in its types: it has to be the version that this folder pins.
// deno-lint-ignore no-explicit-any
type Options = any;

export async function python(options: Options = {}): Promise<PyodideAPI> {
  const py = await loadPyodide(options);
  py.FS.writeFile("/wws.zip", Deno.readFileSync(here("python.zip")));
  py.runPython("import sys; '/wws.zip' in sys.path or sys.path.insert(0, '/wws.zip')");
  return py;
}

// deno-lint-ignore no-explicit-any
export function gateway(py: PyodideAPI): any {
  return py.pyimport(MODULE);
}

export async function started(): Promise<PyodideAPI> {
  const snapshot = await Deno.readFile(SNAPSHOT).catch(() => null);
  return await python(snapshot === null ? {} : { _loadSnapshot: snapshot });
}
