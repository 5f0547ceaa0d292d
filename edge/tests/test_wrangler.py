"""The folder that is deployed, before Cloudflare's own tool."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.workerd import MODULES
from tests.project.functions.write import HELLO, write

TOML = """\
name = "shop"
[auth]
supabase_url = "https://shop.supabase.co"
supabase_key = "${SUPABASE_KEY}"
[origin]
url = "https://shop.example"
[providers.zai]
api_key = "${ZAI_API_KEY}"
[models]
code = "zai/glm-4.7"
[[rules]]
use = "code"
[limits]
default = "100/min approximate"
[[kv_namespaces]]
binding = "VISITS"
[triggers]
crons = ["*/5 * * * *"]
"""
LARGEST = 400
"""KiB of an upload, compressed: well below what every plan of the platform takes."""


def run(folder: Path, toml: str, *words: str, app: str = "wws.cli.app") -> subprocess.CompletedProcess[str]:
    """A command on a project, with the pinned wrangler."""
    (folder / "wws.toml").write_text(toml)
    cleanup = "async def scheduled(event, env, ctx):\n    return None\n"
    write(folder / "functions", {"hello.py": HELLO, "api/[id].py": HELLO, "cleanup.py": cleanup})
    write(folder / "public", {"index.html": "<p>hello</p>"})
    path = f"{MODULES / '.bin'}:{os.environ['PATH']}"
    command = [sys.executable, "-c", f"from {app} import app; app()", *words, "--target", "cloudflare"]
    env = {**os.environ, "PATH": path, "CI": "1", "WRANGLER_SEND_METRICS": "false"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=50, check=False)


def test_wrangler_accepts_the_folder_and_it_is_small(tmp_path: Path) -> None:
    done = run(tmp_path, TOML, "--dry-run", app="wws.cli.deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    size = re.search(r"gzip: ([\d.]+) KiB", done.stdout)
    assert size is not None, done.stdout
    assert float(size[1]) <= LARGEST
    for binding in ("env.WWS_COUNTERS (Counters)", "env.WWS_RATE_100_60", "env.WWS_KV", "env.VISITS"):
        assert binding in done.stdout
    assert "[WARNING]" not in done.stdout + done.stderr


@pytest.mark.parametrize("wrong", ['[kv]\nstore = "lmdb:./state"\n', '[server]\ntrusted_proxies = ["10.0.0.0/8"]\n'])
def test_what_is_refused_never_reaches_it(tmp_path: Path, wrong: str) -> None:
    done = run(tmp_path, TOML + wrong, "build")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: wws.toml" in done.stderr
    assert not (tmp_path / ".wws").exists()
