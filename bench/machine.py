"""The machine: which cores the two sides are pinned to, free ports, the tools there are, and the facts a reader needs."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.errors import Missing

__all__ = [
    "BOTH_CORES",
    "LOAD_CORE",
    "ROOT",
    "SERVER_CORE",
    "WORK",
    "commit",
    "facts",
    "free_port",
    "pin_self",
    "pinned",
    "require",
    "tool_version",
]

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "bench" / ".work"

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
LOAD_CORE = _CORES[-1]

BOTH_CORES = f"{SERVER_CORE},{LOAD_CORE}"
"""For what is several processes: the load then shares a core with one of them."""

_PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}


def pinned(core: int | str, command: list[str]) -> list[str]:
    """`command` bound to one core, or to several as taskset lists them. taskset replaces itself: the pid is the command's own."""
    return ["taskset", "-c", str(core), *command]


def pin_self() -> None:
    """Binds this process, which makes the load, to the load's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def free_port() -> int:
    """A loopback TCP port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def require(*tools: str) -> None:
    """Raises `Missing` naming every absent tool and the command that installs them."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    if absent:
        packages = " ".join(_PACKAGES.get(tool, tool) for tool in absent)
        raise Missing(f"not found: {', '.join(absent)}. On Debian or Ubuntu: apt-get install {packages}")


def tool_version(*command: str) -> str:
    """The first line that a version command prints, "?" when it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "?"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "?"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _governor() -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{SERVER_CORE}/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "not exposed"


def _build() -> str:
    """How the interpreter was built: without profile-guided and link-time optimisation it is a good deal slower."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    used = [name for name, flag in (("PGO", "--enable-optimizations"), ("LTO", "--with-lto")) if flag in arguments]
    return " and ".join(used) or "neither PGO nor LTO"


def commit() -> str:
    """The commit measured, with `+` when the sources differ from it."""
    short = tool_version("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    dirty = tool_version("git", "-C", str(ROOT), "status", "--porcelain", "--", "src")
    return short if dirty == "?" else short + "+"


def facts() -> dict[str, str]:
    """What was measured where: CPU, kernel, versions."""
    wrk = tool_version("wrk", "-v").split(" [")[0]
    libraries = ", ".join(f"{name} {_package(name)}" for name in ("uvloop", "httptools", "msgspec", "lmdb"))
    return {
        "CPU": f"{_cpu_model()}, {len(_CORES)} cores, governor {_governor()}",
        "pinning": f"server under test on core {SERVER_CORE}; load and mock on core {LOAD_CORE}",
        "kernel": platform.release(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}, built with {_build()}",
        "libraries": libraries,
        "nginx": tool_version("nginx", "-v").removeprefix("nginx version: nginx/"),
        "wrk": wrk.removeprefix("wrk ").removeprefix("debian/"),
        "WWS": f"{_package('wws')}, commit {commit()}",
    }
