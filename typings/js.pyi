"""The globals of JavaScript, as Pyodide lends them."""

from typing import Any

def __getattr__(name: str) -> Any: ...
