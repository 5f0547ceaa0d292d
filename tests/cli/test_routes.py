from __future__ import annotations

from pathlib import Path

from tests.cli.run import wws
from tests.project.functions.write import HELLO, write

TOML = """
[origin]
url = "http://127.0.0.1:9"
[[routes]]
path = "/*"
to = "origin"
cache = "obey-origin"
[[routes]]
path = "/old"
to = "function:api/[id]"
limit = "off"
"""


def test_what_is_served_where(folder: Path) -> None:
    write(
        folder / "functions",
        {
            "api/[id].py": """
                config = {"auth": "required", "limit": "5/10s"}
                async def get(r, e, c): ...
                async def post(r, e, c): ...
            """,
            "blog/index.py": HELLO
            + 'config = {"cache": {"fresh": "1m", "stale": "5m", "per": "public"}, "limit": "9/min burst 3"}',
            "bad.py": "def",
        },
    )
    (folder / "wws.toml").write_text(TOML)
    done = wws("routes")
    assert done.status == 0
    assert [line.split("\t") for line in done.out.splitlines()] == [
        ["/*", "", "origin", "optional", "100/min", "obey-origin", ""],
        ["/old", "GET POST", "function:api/[id]", "required", "off", "off", "functions/api/[id].py"],
        ["/api/:id", "GET POST", "function:api/[id]", "required", "5/10s", "off", "functions/api/[id].py"],
        ["/bad", "", "function:bad", "optional", "100/min", "off", "functions/bad.py"],
        ["/blog", "", "function:blog/index", "optional", "9/min burst 3", "1m, stale 5m, per public", "functions/blog/index.py"],
        ["/blog/", "", "function:blog/index", "optional", "9/min burst 3", "1m, stale 5m, per public", "functions/blog/index.py"],
    ]
    assert "functions/bad.py:1: syntax error" in done.err
    assert wws("routes", "--json").json[1]["limit"] == "off"
