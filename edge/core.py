"""The unit tests of `core` on another interpreter: `python3.13 edge/core.py PACKAGES [pytest's arguments]`.

Pure Python alone, as at the edge: what compares us with native libraries (PyJWT, `limits`) or starts processes stays out, and the
standard library does JSON. Under Pyodide `core.mjs` runs this file.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

_NATIVE = ("import jwt", "from limits", "import limits", "tests.support.supabase", "subprocess")


def main(root: Path, packages: str, given: list[str]) -> int:
    """Runs them; pytest's status."""
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(root / "src"), str(root), packages]
    import pytest

    assert find_spec("msgspec") is None, "the edge has the standard library alone"
    tests = root / "tests" / "core"
    out = [path for path in sorted(tests.rglob("test_*.py")) if any(word in path.read_text() for word in _NATIVE)]
    sys.stdout.write(f"{sys.implementation.name} {sys.version.split()[0]} on {sys.platform}, without ")
    sys.stdout.write(", ".join([path.name for path in out]) + "\n")
    options = ["-q", "-c", "/dev/null", f"--rootdir={root}", "--noconftest", "--import-mode=importlib", "-p", "no:cacheprovider"]
    strict = ["-p", "no:faulthandler", "-W", "error"]
    return int(pytest.main([*options, *strict, *[f"--ignore={path}" for path in out], str(tests), *given]))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[1], sys.argv[1], sys.argv[2:]))
