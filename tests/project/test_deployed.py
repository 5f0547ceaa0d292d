from __future__ import annotations

from pathlib import Path

import pytest

from wws.errors import ConfigError
from wws.project.bundle import open_bundle, pack
from wws.project.deployed import chosen, served
from wws.project.load import load
from wws.project.releases import LOCAL, Releases, State
from wws.project.settings import Project

OWN = """\
[server]
listen = "127.0.0.1:1111"
[admin]
token = "${WWS_ADMIN_TOKEN}"
[kv]
store = "lmdb:./own-state"
[origin]
url = "http://127.0.0.1:3000"
[vars]
GREETING = "own"
"""
ENVIRON = {"WWS_ADMIN_TOKEN": "a-token-of-the-test"}


@pytest.fixture
def own(tmp_path: Path) -> Project:
    (tmp_path / "wws.toml").write_text(OWN)
    return load(tmp_path / "wws.toml", environ=ENVIRON, allow_missing=True)


def deploy(own: Project, text: str) -> str:
    releases = Releases(own.home)
    bundle = open_bundle(pack("p", "1", "x", {"wws.toml": text.encode()})[1])
    with releases.changing():
        releases.record(releases.add(bundle, 1.0, "admin"))
    return bundle.version


def activate(own: Project, version: str, percent: float = 100) -> None:
    releases = Releases(own.home)
    with releases.changing():
        releases.record(releases.state().rolled_out(version, percent))


VERSION = """\
[server]
listen = "0.0.0.0:1"
[kv]
store = "memory:"
[origin]
url = "http://127.0.0.1:4000"
[vars]
GREETING = "${WHO}"
[[routes]]
path = "/*"
to = "origin"
"""


def test_without_a_deployment_it_is_the_folder_s(own: Project) -> None:
    assert served(own, ENVIRON) is own
    assert own.release == LOCAL
    assert own.home == own.folder


def test_a_version_brings_all_but_what_is_the_machine_s(own: Project) -> None:
    (own.home / ".dev.vars").write_text("WHO=from-home\n")
    version = deploy(own, VERSION)
    activate(own, version)
    found = served(own, ENVIRON)
    assert found.release == version
    assert (found.server, found.admin, found.store_url) == (own.server, own.admin, own.store_url)
    assert found.home == own.home
    assert found.folder == Releases(own.home).folder / version
    assert found.policy.origins == {"default": "http://127.0.0.1:4000"}
    assert found.vars["GREETING"].reveal() == "from-home"  # type: ignore[union-attr]


def test_a_rollout_is_served_beside(own: Project) -> None:
    version = deploy(own, VERSION.replace("${WHO}", "new"))
    activate(own, version, 10)
    found = served(own, ENVIRON)
    assert (found.release, found.rollout and found.rollout.percent) == (LOCAL, 10)
    assert found.rollout is not None
    assert (found.rollout.project.release, found.rollout.project.vars) == (version, {"GREETING": "new"})


def test_what_a_version_lacks_is_told_with_its_file(own: Project) -> None:
    version = deploy(own, VERSION)
    with pytest.raises(ConfigError, match=r"releases/.*/wws.toml:8: vars.GREETING: WHO is not set"):
        chosen(own, State(active=version), ENVIRON)


def test_a_broken_state_stops_the_start(own: Project) -> None:
    activate(own, deploy(own, VERSION.replace("${WHO}", "new")))
    (Releases(own.home).folder / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        served(own, ENVIRON)
