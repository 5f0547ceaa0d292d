"""The configuration of nginx: complete, closed, and true to the bodies it is to return."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.nginx import _literal, measure_conf, mock_conf
from bench.payload import CHAT_ANSWER, REFUSAL

_FOLDER = Path("/tmp/bench")


@pytest.mark.parametrize("conf", [mock_conf(_FOLDER, 1111), measure_conf(_FOLDER, 1111, 2222, 3333)])
def test_braces_close_and_only_loopback_is_named(conf: str) -> None:
    outside = "\n".join(line for line in conf.splitlines() if "'" not in line)
    assert outside.count("{") == outside.count("}") > 2
    assert "listen 127.0.0.1:1111" in conf
    assert "0.0.0.0" not in conf
    assert "access_log off;" in conf
    assert "worker_processes 1;" in conf


def test_the_measure_reaches_both_mocks_and_does_not_buffer_streams() -> None:
    conf = measure_conf(_FOLDER, 1111, 2222, 3333)
    assert "server 127.0.0.1:2222;" in conf
    assert "server 127.0.0.1:3333;" in conf
    stream = conf[conf.index("location /sse/") :]
    assert "proxy_buffering off;" in stream
    assert conf.count("keepalive_requests 1000000000;") == 3


def test_all_files_stay_in_the_folder() -> None:
    for line in measure_conf(_FOLDER, 1, 2, 3).splitlines():
        words = line.split()
        if words and (words[0] in {"pid", "error_log"} or words[0].endswith("_path")):
            assert words[1].startswith("/tmp/bench/")


def test_bodies_survive_the_quoting() -> None:
    conf = measure_conf(_FOLDER, 1, 2, 3)
    assert f"'{CHAT_ANSWER.decode()}'" in conf
    assert f"401 '{REFUSAL.decode()}'" in conf
    assert _literal(b'{"a":"\\n"}') == '{"a":"\\\\n"}'


@pytest.mark.parametrize("body", [b"it's", b"$host"])
def test_what_nginx_cannot_return_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="nginx cannot return"):
        _literal(body)
