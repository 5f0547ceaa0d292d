"""Two gateways behind a real nginx, restarted one after the other under load: nobody notices."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.neighbours import Neighbours
from tests.e2e.program import until
from tests.workers.behaviours import paced
from tests.workers.conftest import Begin
from tests.workers.load import BusyLine, Load, streamed

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

# As in nginx's documentation, but for `max_fails=0`: after a refused connection nginx would leave a server alone for 10
# seconds, in which this test has restarted the other one.
CONF = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  upstream gateways {{
    server 127.0.0.1:{one} max_fails=0;
    server 127.0.0.1:{two} max_fails=0;
    keepalive 32;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def free_ports(count: int) -> list[int]:
    with_ports = [socket.socket() for _ in range(count)]
    for one in with_ports:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in with_ports]
    for one in with_ports:
        one.close()
    return ports


@contextmanager
def nginx(folder: Path, port: int, one: int, two: int) -> Iterator[str]:
    folder.mkdir()
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, port=port, one=one, two=two))
    assert NGINX is not None
    running = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(conf), "-e", str(folder / "start.log")])
    try:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens, "nginx")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


@pytest.mark.scale
@pytest.mark.skipif(NGINX is None, reason="there is no nginx here: apt-get install nginx-light")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_rolling_restart_behind_nginx_fails_no_request(begin: Begin, around: Neighbours, tmp_path: Path, workers: int) -> None:
    around.main.script("paced", paced)
    port, one, two = free_ports(3)
    gateways = [begin(workers, port=own, folder=f"gateway{own}", server='grace = "20s"') for own in (one, two)]
    # One key for both: the second has the state of the first.
    gateways[1].stop()
    shutil.rmtree(gateways[1].folder / "state")
    key = gateways[0].create_key()["key"]
    gateways[0].stop()
    shutil.copytree(gateways[0].folder / "state", gateways[1].folder / "state")
    for gateway in gateways:
        gateway.start()
    with (
        nginx(tmp_path / "nginx", port, one, two) as url,
        Load(3, streamed(url, key, "paced")) as streams,
        Load(6, BusyLine(url, key)) as lines,
    ):
        for gateway in gateways * 2:
            assert gateway.stop() == 0  # SIGTERM, and waits for the end
            lines.go_on(20)
            gateway.start()
            lines.go_on(20)
            streams.go_on(3)
    assert not lines.failures
    assert not streams.failures
