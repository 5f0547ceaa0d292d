"""A policy as plain data and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.policy import AuthPolicy, CachePolicy, Limit, ModelRef, Policy, ProviderConfig, Route, Timeouts
from wws.hosts.edge.plain import from_plain, to_plain

_TEXTS = st.text(max_size=8)
_SECONDS = st.floats(0.0, 1e6)
_LIMITS = st.builds(Limit, st.integers(1, 1000), _SECONDS, st.none() | st.integers(1, 9), _TEXTS, _TEXTS)
_TIMEOUTS = st.builds(Timeouts, _SECONDS, _SECONDS, _SECONDS, _SECONDS, _SECONDS)
_CACHES = st.builds(
    CachePolicy, st.sampled_from(["off", "obey-origin", "fixed"]), _SECONDS, _SECONDS, st.sampled_from([None, "user"])
)
_ROUTES = st.builds(
    Route,
    path=_TEXTS,
    to=st.sampled_from(["ai", "origin", "function"]),
    methods=st.none() | st.lists(_TEXTS, max_size=2).map(tuple),
    limit=st.none() | _LIMITS,
    cache=_CACHES,
    timeout=st.none() | _SECONDS,
)
_POLICIES = st.builds(
    Policy,
    name=_TEXTS,
    limits=st.dictionaries(_TEXTS, _LIMITS, max_size=2),
    providers=st.dictionaries(_TEXTS, st.builds(ProviderConfig, _TEXTS, _TEXTS, timeouts=_TIMEOUTS), max_size=2),
    models=st.dictionaries(_TEXTS, st.lists(st.builds(ModelRef, _TEXTS, _TEXTS), max_size=2).map(tuple), max_size=2),
    routes=st.lists(_ROUTES, max_size=2).map(tuple),
)


@given(_POLICIES)
def test_a_policy_comes_back_through_json(policy: Policy) -> None:
    assert from_plain(Policy, json.loads(json.dumps(to_plain(policy)))) == policy


def test_what_is_the_default_is_not_written() -> None:
    assert to_plain(Policy()) == {}
    assert to_plain(replace(Policy(), auth=AuthPolicy(leeway=5.0))) == {"auth": {"leeway": 5.0}}


def test_a_whole_number_is_a_duration_all_the_same() -> None:
    read = from_plain(Timeouts, {"idle": 5})
    assert (read.idle, type(read.idle)) == (5.0, float)


@pytest.mark.parametrize("data", [{"colour": "red"}, [], {"limits": {"default": {"period": 1}}}, {"routes": 7}], ids=str)
def test_data_of_another_kind_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="not the plain data of Policy"):
        from_plain(Policy, data)


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes has no form"):
        to_plain({"a": b"1"})
