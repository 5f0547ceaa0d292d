from __future__ import annotations

import pytest

from wws.core.policy import Attempts, AuthPolicy, CachePolicy, Policy, Timeouts
from wws.project.schema import KEYS, TABLES, Key, default, table_of, tree
from wws.project.settings import Project, ServerSettings


def test_every_path_is_there_once() -> None:
    paths = [key.path for key in KEYS]
    assert len(set(paths)) == len(paths)


def test_every_table_is_described_and_has_a_key() -> None:
    assert {table_of(key) for key in KEYS} == set(TABLES)
    assert all(text.endswith(".") for text in TABLES.values())


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_each_key_is_described(key: Key) -> None:
    assert key.about.endswith(".")
    assert key.kind.allowed
    assert not (key.required and key.default is not None)
    default(key.path)  # the default is one its own kind takes


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_the_tree_leads_to_each_key(key: Key) -> None:
    node = tree()
    steps = key.path.split(".", 1) if key.path.startswith("limits.") else key.path.replace("[]", ".[]").split(".")
    for step in steps:
        node = node.children[step]
    assert node.key is key


SAME = {
    "auth": AuthPolicy(),
    "cache": CachePolicy(),
    "timeouts": Timeouts(),
    "origin.timeouts": Policy().origin_timeouts,
    "attempts": Attempts(),
    "server": ServerSettings(),
}


@pytest.mark.parametrize("table", SAME)
def test_defaults_are_those_of_the_types(table: str) -> None:
    for key in KEYS:
        if table_of(key) == table:
            name = key.path.rpartition(".")[2]
            holder = Policy() if name in ("json_limit", "json_depth", "function_limit", "max_in_flight") else SAME[table]
            expected = default(key.path)
            assert getattr(holder, name) == {"[]": (), "off": None}.get(str(expected), expected), key.path


def test_defaults_of_the_rest_are_those_of_the_types() -> None:
    assert default("name") == Policy().name
    assert default("kv.store") == Project.__dataclass_fields__["store_url"].default
    limits = {name: default(f"limits.{name}") for name in Policy().limits}
    assert {name: (limit.count, limit.period, limit.burst) for name, limit in limits.items()} == {
        name: (limit.count, limit.period, limit.burst) for name, limit in Policy().limits.items()
    }
