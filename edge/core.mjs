// The unit tests of `core` under Pyodide, by core.py: `node core.mjs PYODIDE PACKAGES [pytest's arguments]`.
// PYODIDE is the name of the npm package: `pyodide` has Python 3.14, `pyodide-313` Python 3.13.
const [pyodide, packages, ...given] = process.argv.slice(2);
const { loadPyodide } = await import(pyodide);
const py = await loadPyodide();
for (const [place, folder] of [["/repo", new URL("..", import.meta.url).pathname], ["/packages", packages]]) {
  py.FS.mkdirTree(place);
  py.mountNodeFS(place, folder);
}
py.globals.set("given", py.toPy(given));
let status = 1;
try {
  status = py.runPython(`
import sys
from pathlib import Path
sys.path.append("/repo/edge")
from core import main
main(Path("/repo"), "/packages", given)
`);
} catch (error) {
  console.error(String(error.message).slice(-4000));
}
process.exit(status);
