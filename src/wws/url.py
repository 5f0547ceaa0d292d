"""An address as a text that knows its parts, named as in the URL Standard (url.spec.whatwg.org)."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, urlsplit

__all__ = ["URL"]


class URL(str):
    """A text in every way; `URL("https://shop.test/a?x=1").pathname` is `/a`. Nothing is decoded but `params`."""

    __slots__ = ()

    @property
    def parts(self) -> SplitResult:
        """The text in its parts. Raises `ValueError` for a host that is none."""
        return urlsplit(str(self))

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.parts.scheme}://{self.parts.netloc}"

    @property
    def host(self) -> str:
        """Host and port as written."""
        return self.parts.netloc

    @property
    def hostname(self) -> str:
        """The host without its port."""
        return self.parts.hostname or ""

    @property
    def pathname(self) -> str:
        """The path, percent-encoded as it came."""
        return self.parts.path or "/"

    @property
    def search(self) -> str:
        """The query with its question mark, or nothing."""
        return f"?{self.parts.query}" if self.parts.query else ""

    @property
    def params(self) -> dict[str, list[str]]:
        """The query's parameters, decoded, each with all its values."""
        return parse_qs(self.parts.query, keep_blank_values=True)
