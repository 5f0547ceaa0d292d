from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wws.project.bundle import Bundle, open_bundle, pack
from wws.project.releases import LOCAL, Release, ReleaseError, Releases, Rollout, State


def bundle(text: str = "") -> Bundle:
    return open_bundle(pack("shop", "1.0", "abc", {"wws.toml": text.encode(), "functions/a.py": b"x = 1\n"})[1])


def release(version: str) -> Release:
    return Release(version, "shop", "1.0", 1.0, "admin", 1, 1)


def having(*versions: str) -> State:
    return State(releases=tuple(map(release, versions)))


def added(releases: Releases, text: str = "") -> str:
    with releases.changing():
        found = bundle(text)
        releases.record(releases.add(found, 1.0, "admin"))
    return found.version


def test_nothing_deployed(tmp_path: Path) -> None:
    assert Releases(tmp_path).state() == State(active=LOCAL)
    assert list(tmp_path.iterdir()) == []


def test_what_is_added_is_there_after_a_restart(tmp_path: Path) -> None:
    version = added(Releases(tmp_path), "a = 1\n")
    state = Releases(tmp_path).state()
    assert state.releases == (Release(version, "shop", "1.0", 1.0, "admin", 2, 12),)
    assert state.active == LOCAL
    assert Releases(tmp_path).config(version).read_text() == "a = 1\n"
    assert (tmp_path / ".wws" / "releases").stat().st_mode & 0o077 == 0


def test_the_same_bundle_twice_is_one_release(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    assert added(releases) == added(releases)
    assert len(releases.state().releases) == 1


def test_files_that_somebody_removed_come_back(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    version = added(releases)
    releases.config(version).unlink()
    added(releases)
    assert releases.config(version).exists()
    assert len(releases.state().releases) == 1


def test_forth_and_back() -> None:
    state = having("v1", "v2", "v3").activated("v1").activated("v2").activated("v3")
    assert (state.active, state.previous) == ("v3", (LOCAL, "v1", "v2"))
    state = state.rolled_back()
    assert (state.active, state.previous) == ("v2", (LOCAL, "v1"))
    state = state.rolled_back().rolled_back()
    assert (state.active, state.previous) == (LOCAL, ())
    with pytest.raises(ReleaseError, match="no version before local; there are: v1, v2, v3, local"):
        state.rolled_back()


def test_back_to_a_version_by_name() -> None:
    state = having("v1", "v2").activated("v1").activated("v2")
    assert state.rolled_back("v1").active == "v1"
    assert state.rolled_back(LOCAL).active == LOCAL
    with pytest.raises(ReleaseError, match="no version v9"):
        state.rolled_back("v9")


def test_a_rollout_grows_and_ends() -> None:
    state = having("v1", "v2").activated("v1").rolled_out("v2", 10)
    assert (state.active, state.rollout) == ("v1", Rollout("v2", 10))
    assert state.rolled_out("v2", 50).rollout == Rollout("v2", 50)
    assert state.rolled_out("v2", 0).rollout is None
    assert state.rolled_back().rollout is None
    done = state.rolled_out("v2", 100)
    assert (done.active, done.rollout, done.previous) == ("v2", None, (LOCAL, "v1"))
    with pytest.raises(ReleaseError, match="everybody already"):
        done.rolled_out("v2", 10)


def test_a_deployment_ends_a_rollout() -> None:
    state = having("v1", "v2", "v3").activated("v1").rolled_out("v2", 10)
    assert state.activated("v3").rollout is None
    assert state.activated("v1").rollout is None


def test_what_is_kept() -> None:
    state = having("v1", "v2", "v3", "v4", "v5").activated("v1").activated("v3").rolled_out("v2", 5)
    assert [one.version for one in state.kept(2).releases] == ["v1", "v2", "v3"]  # before, rolled out, active
    assert [one.version for one in state.kept(4).releases] == ["v1", "v2", "v3", "v5"]
    assert state.kept(9) == state


def test_a_version_that_is_gone_is_no_way_back() -> None:
    state = having("v1", "v2", "v3").activated("v1").activated("v2").activated("v3")
    without = replace(state, releases=tuple(one for one in state.releases if one.version != "v2"))
    assert without.rolled_back().active == "v1"


def test_files_go_with_their_release(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    first, second = added(releases, "a = 1\n"), added(releases, "a = 2\n")
    (releases.folder / ".new-left-by-a-crash").mkdir()
    with releases.changing():
        state = releases.state()
        releases.record(replace(state, releases=state.releases[1:]))
        releases.clean(releases.state())
    assert {path.name for path in releases.folder.iterdir() if path.is_dir()} == {second}
    assert not releases.config(first).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"active": "x"}', '{"active":"x","rollout":{},"previous":[],"releases":[]}'])
def test_a_state_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    releases = Releases(tmp_path)
    added(releases)
    (releases.folder / "state.json").write_text(text)
    with pytest.raises(ReleaseError, match="restore it, or remove it"):
        releases.state()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".wws").write_text("in the way")
    with pytest.raises(ReleaseError, match="cannot be written"), Releases(tmp_path).changing():
        raise AssertionError("not reached")


def test_one_change_at_a_time(tmp_path: Path) -> None:
    one, two = Releases(tmp_path), Releases(tmp_path)
    with one.changing(), pytest.raises(ReleaseError, match="another change"), two.changing():
        raise AssertionError("not reached")
    with two.changing():
        assert two.state() == State()
