"""nginx twice: as the measure (one worker that answers, proxies and relays streams) and as the cheap mock provider."""

from __future__ import annotations

from pathlib import Path

from bench.machine import LOAD_CORE, SERVER_CORE, WORK
from bench.payload import CHAT_ANSWER, REFUSAL
from bench.process import Program, wait_listening

__all__ = ["measure_conf", "mock_conf", "start_measure", "start_mock"]

# Settings that make nginx as cheap as it can be for these shapes: no log, no file for bodies, and connections that last
# (the default ends each after 1,000 requests). One worker on one core, as WWS has.
_HEAD = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  default_type application/json;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_buffer_size 1m;
  client_max_body_size 8m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
"""

_MOCK = """\
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""

_MEASURE = """\
  upstream mock {{
    server 127.0.0.1:{mock};
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  upstream streams {{
    server 127.0.0.1:{streams};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location = /return {{ return 200 '{answer}'; }}
    location = /refuse {{ return 401 '{refusal}'; }}
    location / {{ proxy_pass http://mock; }}
    location /sse/ {{
      proxy_pass http://streams/;
      proxy_buffering off;
      proxy_cache off;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""


def _literal(body: bytes) -> str:
    """A body as the text between single quotes of a `return`. There is no escape for `$`, so it must not occur."""
    text = body.decode("ascii")
    if "$" in text or "'" in text:
        raise ValueError("nginx cannot return a body with $ or ' in it")
    return text.replace("\\", "\\\\")


def mock_conf(folder: Path, port: int) -> str:
    """A provider that answers every request at once with the same chat completion."""
    return _HEAD.format(folder=folder) + _MOCK.format(port=port, answer=_literal(CHAT_ANSWER))


def measure_conf(folder: Path, port: int, mock: int, streams: int) -> str:
    """What WWS is measured against: `/return`, `/refuse`, `/sse/*` unbuffered to the stream mock, all else to the mock."""
    return _HEAD.format(folder=folder) + _MEASURE.format(
        port=port, mock=mock, streams=streams, answer=_literal(CHAT_ANSWER), refusal=_literal(REFUSAL)
    )


def _start(name: str, core: int, port: int, folder: Path, conf: str) -> Program:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(conf)
    program = Program(
        name, core, ["nginx", "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")], folder / "out.log"
    )
    try:
        wait_listening(program, port)
    except BaseException:
        program.stop()
        raise
    return program


def start_mock(port: int) -> Program:
    folder = WORK / "nginx-mock"
    return _start("nginx (mock)", LOAD_CORE, port, folder, mock_conf(folder, port))


def start_measure(port: int, mock: int, streams: int) -> Program:
    folder = WORK / "nginx"
    return _start("nginx", SERVER_CORE, port, folder, measure_conf(folder, port, mock, streams))
