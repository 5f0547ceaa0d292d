"""Which of the package's files an edge host gets."""

from __future__ import annotations

from pathlib import Path

import pytest

import wws
from wws.project.targets._modules import needed

ROOT = Path(wws.__file__).parent.parent


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"wws/{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_imported_anywhere_in_a_module_is_needed(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="import json\nfrom wws.b import thing\ndef later():\n    from wws import c\n",
        b="try:\n    import wws.d\nexcept ImportError:\n    pass\n",
        c="",
        d="",
        unused="",
    )
    (tmp_path / "wws" / "__init__.py").write_text("")
    assert needed(["wws.a"], tmp_path) == ["wws", "wws.a", "wws.b", "wws.c", "wws.d"]


def test_what_only_a_type_checker_imports_is_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from wws import b\nelse:\n    from wws import c\n",
        b="",
        c="",
    )
    (tmp_path / "wws" / "__init__.py").write_text("")
    assert needed(["wws.a"], tmp_path) == ["wws", "wws.a", "wws.c"]


def test_an_entry_that_is_no_module(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no module wws.gone"):
        needed(["wws.gone"], tmp_path)


def test_the_edge_gets_nothing_of_the_server() -> None:
    found = needed(["wws.hosts.edge.app"], ROOT)
    assert {"wws", "wws.gateway", "wws.core.limit.window", "wws.functions.auth_guard"} <= set(found)
    foreign = ("wws.hosts.server", "wws.stores", "wws.project", "wws.observe", "wws.admin", "wws.cli", "wws.codec_native")
    assert not [name for name in found if name.startswith(foreign)]
