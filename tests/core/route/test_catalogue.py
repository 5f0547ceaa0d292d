"""The dated catalogue: what is in it, what it says of names that are not, and what calls cost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.policy import DEFAULT_MODELS, Price, ProviderConfig
from wws.core.route.catalogue import (
    CATALOGUE_DATE,
    EQUIVALENTS,
    SOURCES,
    Entry,
    cost_of,
    entries,
    entry,
    equivalents,
    nearest,
    price_of,
)
from wws.core.trail import Usage

EVERY = [(kind, row) for kind in ("synthetic", "zai") for row in entries(kind)]


def test_it_is_dated_and_names_its_sources() -> None:
    assert re.fullmatch(r"20\d\d-\d\d", CATALOGUE_DATE)
    assert SOURCES
    for _, row in EVERY:
        assert re.fullmatch(r"20\d\d(-\d\d| autumn)", row.as_of), row
        assert row.as_of[:4] <= CATALOGUE_DATE[:4]


def test_every_row_is_plausible() -> None:
    assert len(EVERY) == len({(kind, row.model) for kind, row in EVERY}) == 32
    for _, row in EVERY:
        assert (row.price_in is None) == (row.price_out is None), row
        if row.price_in is not None and row.price_out is not None:
            assert 0 <= row.price_in <= row.price_out <= 100, row
        if row.price_cached is not None:
            assert row.price_in is not None
            assert row.price_cached <= row.price_in, row
        if row.context is not None:
            assert 32_000 <= row.context <= 2_000_000, row
        if row.max_output is not None and row.context is not None:
            assert row.max_output <= row.context, row


def test_a_row_by_its_name() -> None:
    kimi = entry("synthetic", "hf:moonshotai/Kimi-K3")
    assert kimi is not None
    assert (kimi.price_in, kimi.price_out, kimi.price_cached, kimi.context, kimi.max_output) == (3, 15, 0.45, 524_288, 65_536)
    assert entry("zai", "hf:moonshotai/Kimi-K3") is None
    assert entry("openai", "gpt-5") is None
    assert entries("openai") == ()


def test_an_alias_says_what_it_served() -> None:
    vision = entry("synthetic", "syn:large:vision")
    assert vision is not None
    assert vision.serves == "hf:moonshotai/Kimi-K3"
    served = entry("synthetic", vision.serves)
    assert served is not None
    assert served[1:6] == vision[1:6]


@pytest.mark.parametrize(("kind", "row"), EVERY)
def test_what_is_served_is_known_and_what_is_gone_is_not(kind: str, row: Entry) -> None:
    assert nearest(kind, row.model)[0] is not row.gone


@pytest.mark.parametrize(
    ("kind", "model", "near"),
    [
        ("synthetic", "hf:deepseek-ai/DeepSeek-V3", "syn:large:text"),
        ("synthetic", "hf:moonshotai/Kimi-K2-Thinking", "hf:moonshotai/Kimi-K2.6"),
        ("synthetic", "hf:zai-org/GLM-5.2", "hf:zai-org/GLM-5.1"),
        ("synthetic", "glm-4.7", "hf:zai-org/GLM-4.7"),
        ("synthetic", "Kimi-K3", "hf:moonshotai/Kimi-K3"),
        ("zai", "glm-4-flash", "glm-4.7-flash"),
        ("zai", "glm-4-plus", "glm-4.7"),
        ("zai", "glm-4-long", "glm-4.7"),
        ("zai", "GLM-4.7", "glm-4.7"),
        ("zai", "glm4.5-air", "glm-4.5-air"),
        ("zai", "hf:zai-org/GLM-5.3-Flash", "glm-5.3-flash"),
    ],
)
def test_the_nearest_name_of_the_same_provider(kind: str, model: str, near: str) -> None:
    assert nearest(kind, model) == (False, near)


def test_none_of_the_default_models_is_in_the_catalogue_and_each_is_told_another() -> None:
    for refs in DEFAULT_MODELS.values():
        for ref in refs:
            known, near = nearest(ref.provider, ref.model)
            assert not known
            assert near is not None
            assert nearest(ref.provider, near) == (True, None)


def test_a_provider_the_catalogue_does_not_cover_gives_nothing_to_object_to() -> None:
    assert nearest("openai", "gpt-5") == (True, None)
    assert nearest("sandbox", "anything") == (True, None)


@given(st.sampled_from(["synthetic", "zai"]), st.text(max_size=60))
def test_any_name_has_a_nearest_that_is_served(kind: str, model: str) -> None:
    known, near = nearest(kind, model)
    assert known or near is not None
    if near is not None:
        row = entry(kind, near)
        assert row is not None
        assert not row.gone


@pytest.mark.parametrize(
    ("kind", "model", "usage", "usd"),
    [
        ("zai", "glm-4.7", Usage(1_000_000, 0), 0.60),
        ("zai", "glm-4.7", Usage(0, 1_000_000), 2.20),
        ("zai", "glm-4.7", Usage(1_000_000, 0, 1_000_000), 0.11),
        ("zai", "glm-4.7", Usage(1_000_000, 1_000_000, 500_000), 0.30 + 0.055 + 2.20),
        ("zai", "glm-4.7-flash", Usage(1_000_000, 1_000_000), 0.0),
        ("synthetic", "hf:moonshotai/Kimi-K3", Usage(1_000, 200), 0.006),
        ("synthetic", "hf:moonshotai/Kimi-K2.6", Usage(1_000_000, 0, 1_000_000), 0.95),
        ("synthetic", "hf:zai-org/GLM-5.2", Usage(1_000_000, 0), 1.40),
        ("zai", "glm-4.7", Usage(10, 0, 99), 10 * 0.11 / 1e6),
        ("zai", "glm-4.7", Usage(0, 0), 0.0),
    ],
)
def test_what_a_call_costs(kind: str, model: str, usage: Usage, usd: float) -> None:
    assert cost_of(price_of(None, kind, model), usage) == pytest.approx(usd)


@pytest.mark.parametrize(("kind", "model"), [("zai", "glm-5.3-flash"), ("zai", "glm-4-long"), ("openai", "gpt-5")])
def test_a_price_that_is_not_known_is_not_zero(kind: str, model: str) -> None:
    assert price_of(None, kind, model) is None


def test_a_configured_price_is_the_one_that_counts() -> None:
    config = ProviderConfig("mine", "zai", prices={"glm-4.7": Price(1.0, 2.0), "own": Price(4.0, 0.0, 1.0)})
    assert cost_of(price_of(config, "mine", "glm-4.7"), Usage(1_000_000, 1_000_000, 500_000)) == pytest.approx(3.0)
    assert cost_of(price_of(config, "mine", "own"), Usage(1_000_000, 0, 500_000)) == pytest.approx(2.5)
    assert price_of(config, "mine", "glm-4.6") == price_of(None, "zai", "glm-4.6")
    assert cost_of(None, Usage(1, 1)) == 0


def test_the_same_weights_elsewhere() -> None:
    assert equivalents("synthetic", "hf:zai-org/GLM-4.7") == (("zai", "glm-4.7"),)
    assert equivalents("zai", "glm-4.7-flash") == (("synthetic", "hf:zai-org/GLM-4.7-Flash"), ("zai", "glm-4.7-flashx"))
    assert equivalents("zai", "glm-4.6") == ()
    for group in EQUIVALENTS:
        for kind, model in group:
            assert entry(kind, model) is not None
            assert (kind, model) not in equivalents(kind, model)
