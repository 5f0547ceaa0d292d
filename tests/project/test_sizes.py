from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.project.sizes import UNITS, octets


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("512", 512),
        (512, 512),
        ("512B", 512),
        ("1kB", 1000),
        ("64KiB", 65_536),
        ("32MiB", 33_554_432),
        ("32 MiB", 33_554_432),
        ("5MB", 5_000_000),
        ("1GiB", 1_073_741_824),
        ("2GB", 2_000_000_000),
    ],
)
def test_what_a_size_is(text: str | int, value: int) -> None:
    assert octets(text) == value


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "1.5MiB", "1 MiB ", "1mib", "1KB", "1K", "1TiB", "0x10", "\u0661", -1, True, "1" * 16]
)
def test_what_it_is_not(text: str | int) -> None:
    with pytest.raises(ValueError, match="not a size"):
        octets(text)


@given(st.integers(0, 10**14))
def test_a_bare_number_is_bytes(value: int) -> None:
    assert octets(value) == octets(str(value)) == octets(f"{value}B") == value


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_every_unit_multiplies(count: int, unit: str) -> None:
    assert octets(f"{count}{unit}") == count * UNITS[unit]


@given(st.text(max_size=20))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        assert octets(text) >= 0
    except ValueError as error:
        assert str(error).startswith("not a size")
