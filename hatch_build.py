"""Compiles the modules that every request runs through, with mypyc, when a wheel is built where there is a C compiler.

The modules stay ordinary Python: where they are not compiled (an editable install, the edge, WWS_PURE=1) they run as they
are. Compiled they cost about half the CPU (docs/architecture.md has the figures).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What is run for each request. A module belongs here when a profile says so, and not before. `errors` does not: attributes of
# exceptions cost compiled code more than they cost the interpreter.
HOT = (
    "bindings", "codec_native", "gateway", "http",
    "core/fault", "core/policy", "core/trail",
    "core/auth/apikey", "core/auth/bearer", "core/auth/digest", "core/auth/session", "core/auth/user",
    "core/cache/freshness", "core/cache/key", "core/cache/scope", "core/cache/shelf", "core/cache/status",
    "core/limit/decision", "core/limit/fields", "core/limit/gcra", "core/limit/subject", "core/limit/window",
    "core/resilience/backoff", "core/resilience/breaker", "core/resilience/gate", "core/resilience/matrix",
    "core/route/choose", "core/route/estimate", "core/route/resolve", "core/route/table",
    "core/wire/assemble", "core/wire/assemble_message", "core/wire/chat", "core/wire/depth", "core/wire/head",
    "core/wire/hygiene", "core/wire/notes", "core/wire/relay_stream",
    "core/wire/sse", "core/wire/tap", "core/wire/usage",
    "functions/ai", "functions/attempt", "functions/attempts", "functions/auth_guard", "functions/cache_manager",
    "functions/cache_store", "functions/model_router", "functions/rate_limiter", "functions/refuse", "functions/relay",
    "functions/setup", "functions/upstreams",
    "hosts/server/application", "hosts/server/arriving",
    "hosts/server/connection", "hosts/server/dialer", "hosts/server/exchange",
    "hosts/server/incoming", "hosts/server/outbox", "hosts/server/outgoing", "hosts/server/pool",
    "hosts/server/pump", "hosts/server/reading",
    "hosts/server/tasks",
    "observe/log", "observe/tally",
    "providers/compat", "providers/verdict",
    "stores/lmdb", "stores/lmdb_counts",
)  # fmt: skip

C = ("_wire", "_json", "_text")
"""The modules that are written in C."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling's hook, before the wheel is put together."""
        if self.target_name != "wheel" or version == "editable" or os.environ.get("WWS_PURE"):
            return
        if not any(shutil.which(name) for name in (os.environ.get("CC", "cc"), "cc", "gcc", "clang")):
            self.app.display_warning("no C compiler: wws is installed as plain Python, which serves the same at twice the CPU")
            return
        built = compiled(Path(self.root) / "src", Path(tempfile.mkdtemp(prefix="wws-native-")))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for file in built.rglob("*.so"):
            build_data["force_include"][str(file)] = str(file.relative_to(built))


def compiled(source: Path, work: Path) -> Path:
    """Compiles HOT of the package in `source` below `work`; the folder of the extension modules."""
    from mypyc.build import mypycify
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    shutil.copytree(source / "wws", work / "wws", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    here, built = Path.cwd(), work / "built"
    os.chdir(work)  # mypyc names modules by their place below the working directory
    try:
        options = ["--config-file=", "--explicit-package-bases", "--ignore-missing-imports", f"--python-version={_python()}"]
        files = [f"wws/{name}.py" for name in HOT]
        extensions = mypycify([*options, *files], opt_level="2", debug_level="0", multi_file=True, target_dir=str(work / "c"))
        extensions += [Extension(f"wws.{name}", [f"wws/{name}.c"], extra_compile_args=["-O2"]) for name in C]
        command = _in_parallel(build_ext(Distribution({"ext_modules": extensions})))
        command.build_lib, command.build_temp = str(built), str(work / "objects")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(here)
    return built


def _in_parallel(command: Any) -> Any:
    """Has the C files of an extension compiled by all cores: setuptools takes one after the other."""
    build = command.build_extensions

    def build_extensions() -> None:
        one_by_one = command.compiler.compile

        def compile_all(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                parts = pool.map(lambda source: one_by_one([source], **options), sources)
                return [file for part in parts for file in part]

        command.compiler.compile = compile_all
        build()

    command.build_extensions = build_extensions
    return command


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
