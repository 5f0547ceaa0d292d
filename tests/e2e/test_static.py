"""Files of the public folder, over a socket."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from tests.e2e.ask import ask
from tests.e2e.neighbours import Neighbours
from tests.e2e.program import Gateway
from tests.e2e.projects import SERVER
from tests.project.functions.write import HELLO, write

TOML = SERVER + '[kv]\nstore = "lmdb:./state"\n[limits]\naddress = "off"\n'
SCRIPT = "let x = 1;\n" * 500


def test_files(tmp_path: Path) -> None:
    public = write(
        tmp_path / "public", {"index.html": "home", "404.html": "nothing here", "app.js": SCRIPT, "docs/index.html": "d"}
    )
    (public / "app.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    big = os.urandom(3_000_000)
    (public / "big.bin").write_bytes(big)
    write(tmp_path / "functions", {"hello.py": HELLO, "app.js.py": HELLO})
    with Gateway(tmp_path, TOML) as gateway:
        home = ask(gateway.url, "/")
        assert (home.status, home.body, home.headers["content-type"]) == (200, b"home", "text/html; charset=utf-8")
        assert ask(gateway.url, "/hello").body == b"hello"
        assert ask(gateway.url, "/app.js").body == b"hello"  # a function goes before a file of its path
        again = ask(gateway.url, "/", headers={"if-none-match": home.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert (ask(gateway.url, "/docs").status, ask(gateway.url, "/docs?x=1").headers["location"]) == (308, "/docs/?x=1")
        missing = ask(gateway.url, "/none")
        assert (missing.status, missing.body) == (404, b"nothing here")
        assert ask(gateway.url, "/big.bin").body == big
        some = ask(gateway.url, "/big.bin", headers={"range": "bytes=1000000-1999999"})
        assert (some.status, some.body, some.headers["content-range"]) == (
            206,
            big[1_000_000:2_000_000],
            "bytes 1000000-1999999/3000000",
        )
        last = ask(gateway.url, "/big.bin", headers={"range": "bytes=-5"})
        assert last.body == big[-5:]
        beyond = ask(gateway.url, "/big.bin", headers={"range": "bytes=3000000-"})
        assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */3000000")
        head = ask(gateway.url, "/big.bin", "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "3000000")
        refused = ask(gateway.url, "/", "POST", body={})
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
        for path in ("/../wws.toml", "/%2e%2e/wws.toml", "/..%2fwws.toml", "/docs/../../wws.toml"):
            assert ask(gateway.url, path).status == 400
        (public / "index.html").write_text("another length")
        assert ask(gateway.url, "/").body == b"home"  # what was read is what is served, until a reload


def test_encodings_and_who_may_see_them(tmp_path: Path) -> None:
    public = write(tmp_path / "public", {"inner/app.js": SCRIPT})
    packed = gzip.compress(SCRIPT.encode())
    (public / "inner" / "app.js.gz").write_bytes(packed)
    toml = TOML + '[[routes]]\npath = "/inner/*"\nto = "static"\nauth = "required"\n'
    with Gateway(tmp_path, toml) as gateway:
        assert ask(gateway.url, "/inner/app.js").status == 401
        key = gateway.create_key("--name", "test")["key"]
        plain = ask(gateway.url, "/inner/app.js", token=key)
        assert (plain.body, plain.headers["vary"]) == (SCRIPT.encode(), "accept-encoding")
        small = ask(gateway.url, "/inner/app.js", token=key, headers={"accept-encoding": "gzip, br"})
        assert (small.body, small.headers["content-encoding"]) == (packed, "gzip")
        assert small.headers["etag"] != plain.headers["etag"]


def test_what_is_no_file_goes_to_the_origin(tmp_path: Path, around: Neighbours) -> None:
    write(tmp_path / "public", {"logo.txt": "logo"})
    with Gateway(tmp_path, TOML + f'[origin]\nurl = "{around.origin.url}"\n') as gateway:
        assert ask(gateway.url, "/logo.txt").body == b"logo"
        assert ask(gateway.url, "/other.txt").json["path"] == "/other.txt"
        assert ask(gateway.url, "/logo.txt", "POST", body={}).json["method"] == "POST"
