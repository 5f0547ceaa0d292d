"""The public surface: every name there is, sorted, and where it should be."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wws


def test_every_public_name_exists_and_the_list_is_sorted() -> None:
    assert (
        sorted(wws.__all__, key=lambda name: (not name.isupper(), name.startswith("_") or name[0].islower(), name)) == wws.__all__
    )
    for name in wws.__all__:
        assert getattr(wws, name) is not None


def test_dir_lists_the_public_names() -> None:
    assert set(wws.__all__) <= set(dir(wws))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = wws.Nothing


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, wws; print([name for name in sys.modules if name.startswith('wws.')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
