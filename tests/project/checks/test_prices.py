from __future__ import annotations

import pytest

from tests.project.files import READY, problems, project
from wws.core.policy import Price

MODEL = '[providers.synthetic.models."hf:x/Y"]\n'


def test_prices_of_one_s_own() -> None:
    config = project(READY + MODEL + "price_in = 1\nprice_out = 2.5\n").policy.providers["synthetic"]
    assert config.prices == {"hf:x/Y": Price(1.0, 2.5, None)}
    config = project(READY + MODEL + "price_in = 0\nprice_out = 0\nprice_cached = 0.5\n").policy.providers["synthetic"]
    assert config.prices == {"hf:x/Y": Price(0.0, 0.0, 0.5)}


@pytest.mark.parametrize("text", ["price_in = 1", "price_out = 1", "price_cached = 1", "price_in = 1\nprice_cached = 1"])
def test_both_or_none(text: str) -> None:
    [problem] = problems(READY + MODEL + text)
    assert "`price_in` and `price_out` come together" in problem


@pytest.mark.parametrize("text", ['"1"', "-1", "nan", "inf", "true", "10001", "[1]"])
def test_what_is_no_price(text: str) -> None:
    [problem] = problems(READY + MODEL + f"price_in = {text}\nprice_out = 1\n")
    assert "allowed: a number from 0 to 10000, in USD" in problem
