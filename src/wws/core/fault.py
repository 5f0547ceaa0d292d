"""What a decision gives back instead of its result when the request cannot be served."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """`code` is a row of `errors.TABLE`; `message` is for the caller (None: the row's own); `param` names the field."""

    code: str
    message: str | None = None
    param: str | None = None
