"""The modules in C, built from this source tree: a wheel that is installed may be older."""

from __future__ import annotations

import subprocess
import sysconfig
import tempfile
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[3] / "src" / "wws"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-missing-field-initializers")


@cache
def extension(name: str, *flags: str) -> Any:
    """`wws.NAME`, built with these flags of the compiler beside the usual ones."""
    target = Path(tempfile.mkdtemp(prefix="wws-c-")) / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = ["cc", "-O2", *WARNINGS, *flags, "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    subprocess.run([*command, str(SOURCES / f"{name}.c"), "-o", str(target)], check=True)
    loader = ExtensionFileLoader(f"wws.{name}", str(target))
    spec = spec_from_file_location(f"wws.{name}", target, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def wire() -> Any:
    """`wws._wire`."""
    return extension("_wire")
