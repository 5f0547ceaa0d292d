"""The C part of the data plane, built from this source tree: a wheel that is installed may be older."""

from __future__ import annotations

import subprocess
import sysconfig
import tempfile
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[3] / "src" / "wws" / "_wire.c"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-missing-field-initializers")


@cache
def wire() -> Any:
    """`wws._wire`."""
    target = Path(tempfile.mkdtemp(prefix="wws-wire-")) / f"_wire{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    subprocess.run(["cc", "-O2", *WARNINGS, "-shared", "-fPIC", f"-I{include}", str(SOURCE), "-o", str(target)], check=True)
    loader = ExtensionFileLoader("wws._wire", str(target))
    spec = spec_from_file_location("wws._wire", target, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
