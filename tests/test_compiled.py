"""What the modules that are compiled may not contain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def hot() -> tuple[str, ...]:
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    names: tuple[str, ...] = module.HOT
    return names


def waits_in_handlers(source: str) -> Iterator[int]:
    """Lines where a coroutine waits inside `except` or `finally`, or uses `async with`, which does so on its way out.

    A coroutine compiled by mypyc (2.4) that waits there leaves its exception behind in the thread: after a client's disconnect
    the next requests would raise its CancelledError.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncWith):
            yield node.lineno
        if isinstance(node, ast.Try):
            handlers = [*node.finalbody, *[statement for handler in node.handlers for statement in handler.body]]
            for part in (part for statement in handlers for part in ast.walk(statement)):
                if isinstance(part, ast.Await | ast.AsyncFor):
                    yield part.lineno


def trusts_an_old_none(source: str) -> Iterator[int]:
    """Lines that read `self.x` in a function that has gone on only because it was None.

    mypy takes it for None from there on, whatever was called in between, and compiled code then raises `TypeError` where it has
    become something else.
    """
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in function.body:
            match statement:
                case ast.If(
                    test=ast.Compare(
                        left=ast.Attribute(value=ast.Name(id="self"), attr=name),
                        ops=[ast.IsNot()],
                        comparators=[ast.Constant(value=None)],
                    ),
                    body=[*_, ast.Return() | ast.Raise()],
                    orelse=[],
                ):
                    later = [node for node in ast.walk(function) if isinstance(node, ast.Attribute) and node.attr == name]
                    after = sorted(
                        [node for node in later if node.lineno > (statement.end_lineno or 0)], key=lambda node: node.lineno
                    )
                    if after and isinstance(after[0].ctx, ast.Load):
                        yield after[0].lineno


@pytest.mark.parametrize("name", hot())
def test_no_compiled_function_trusts_an_old_none(name: str) -> None:
    assert list(trusts_an_old_none((ROOT / "src" / "wws" / f"{name}.py").read_text())) == []


def test_a_none_that_may_be_old_is_found() -> None:
    source = "def f(self):\n if self.x is not None:\n  return\n self.g()\n if self.x is None:\n  pass"
    assert list(trusts_an_old_none(source)) == [5]
    assert list(trusts_an_old_none(source.replace("self.g()", "self.x = 1"))) == []


@pytest.mark.parametrize("name", hot())
def test_no_compiled_coroutine_waits_in_a_handler(name: str) -> None:
    assert list(waits_in_handlers((ROOT / "src" / "wws" / f"{name}.py").read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n try:\n  pass\n except E:\n  await g()",
        "async def f():\n try:\n  pass\n finally:\n  x = [await g()]",
        "async def f():\n async with g():\n  pass",
        "async def f():\n try:\n  pass\n except E:\n  async for x in y: pass",
    ],
)
def test_such_a_wait_is_found(source: str) -> None:
    assert len(list(waits_in_handlers(source))) == 1


def test_a_wait_in_the_body_is_allowed() -> None:
    assert list(waits_in_handlers("async def f():\n try:\n  await g()\n except E:\n  h()\n await g()")) == []
