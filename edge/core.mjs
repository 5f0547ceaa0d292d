// The unit tests of `core` under Pyodide, by core.py: `node core.mjs PACKAGES [pytest's arguments]`.
import { loadPyodide } from "pyodide";

const [packages, ...given] = process.argv.slice(2);
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
