"""The kinds of value a key of wws.toml takes: what is allowed, in words, and the reader that turns TOML's value into ours.

A reader takes what tomllib gives (texts with their `${NAME}` replaced) and raises `ValueError` saying why it is not allowed.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from wws.bindings import Endpoint
from wws.core.limit.rule import parse
from wws.core.policy import Limit, ModelRef
from wws.core.route.table import Table
from wws.project import crons, durations, sizes
from wws.project.address import ALLOWED as ADDRESS_ALLOWED
from wws.project.address import Address, address
from wws.project.secret import Secret
from wws.stores.redis_address import ALLOWED as REDIS
from wws.stores.redis_address import SCHEMES, parse_redis

__all__ = ["OFF", "Kind", "shape"]


class Kind(NamedTuple):
    """`name` for the reference page, `allowed` for messages. A `secret` is never shown, and may be absent in `wws dev`."""

    name: str
    allowed: str
    read: Callable[[Any], Any]
    secret: bool = False


OFF = "off"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}", re.ASCII)
_WORD = re.compile(r"[^\s,][^,\r\n]{0,62}")
# What the router accepts in a header and in a metric's label: visible ASCII without quotes, commas or spaces.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}", re.ASCII)
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?)*", re.ASCII)
# https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin; a star may stand for the labels below a domain.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\*\.)?(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,200}")
_LMDB = re.compile(r"[^?]*[^?/.][^?]*(?:\?map_size=[1-9][0-9]{0,6}[KMG]iB)?")
_TARGET_NAME = re.compile(r"[\w\[][\w.\[\]-]*(?:/[\w\[][\w.\[\]-]*)*")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    if not value.strip():
        raise ValueError("empty")
    if "\0" in value:
        raise ValueError("a NUL is in no name, path or address")
    return value


def matching(pattern: re.Pattern[str], why: str) -> Callable[[object], str]:
    """A reader of texts that `pattern` matches whole."""

    def read(value: object) -> str:
        if not pattern.fullmatch(_text(value)):
            raise ValueError(why)
        return str(value)

    return read


def _price(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not 0 <= value <= 10_000:  # which nan is not either
        raise ValueError("out of range")
    return float(value)


def choice(*values: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in values:
            raise ValueError("not one of these")
        return str(value)

    return Kind("choice", " | ".join([f'"{value}"' for value in values]), read)


def whole(least: int, most: int) -> Kind:
    """A whole number from `least` to `most`."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("not a whole number")
        if not least <= value <= most:
            raise ValueError("out of range")
        return value

    return Kind("number", f"a whole number from {least} to {most}", read)


def duration(least: str, most: str) -> Kind:
    """A duration, read as seconds."""
    low, high = durations.seconds(least), durations.seconds(most)

    def read(value: object) -> float:
        if not isinstance(value, str):
            hint = f': write "{value}s"' if isinstance(value, int) and not isinstance(value, bool) else ""
            raise ValueError(f"a duration is a text with its unit{hint}")
        found = durations.seconds(value)
        if not low <= found <= high:
            raise ValueError("out of range")
        return found

    return Kind("duration", f'{durations.ALLOWED}, from "{least}" to "{most}"', read)


def duration_or_off(least: str, most: str) -> Kind:
    """A duration, or "off"."""
    some = duration(least, most)
    return Kind("duration", f'{some.allowed}, or "{OFF}"', lambda value: OFF if value == OFF else some.read(value))


def size(least: str, most: str) -> Kind:
    """A size, read as bytes."""
    low, high = sizes.octets(least), sizes.octets(most)

    def read(value: object) -> int:
        if not isinstance(value, str | int):
            raise ValueError(f"not {sizes.ALLOWED}")
        found = sizes.octets(value)
        if not low <= found <= high:
            raise ValueError("out of range")
        return found

    return Kind("size", f'{sizes.ALLOWED}, from "{least}" to "{most}"', read)


def many(kind: Kind, *, empty: bool = False, one: bool = False) -> Kind:
    """A list of `kind`, read as a tuple; a repeated element is refused. With `one` a bare element stands for a list of it."""

    def read(value: object) -> tuple[Any, ...]:
        if one and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise ValueError("not a list")
        if not value and not empty:
            raise ValueError("an empty list")
        found = tuple([kind.read(element) for element in value])
        if len(set(map(str, found))) < len(found):
            raise ValueError("something stands in the list twice")
        return found

    return Kind("list", f"{'one or ' if one else ''}a list: {kind.allowed}", read)


def url(*schemes: str) -> Kind:
    """An address of an upstream, read as its text without a final slash."""

    def read(value: object) -> str:
        endpoint = Endpoint(_text(value))
        if not endpoint.url.startswith(tuple([f"{scheme}:" for scheme in schemes])):
            raise ValueError(f"the address begins with {' or '.join(schemes)}")
        return endpoint.url.rstrip("/")

    return Kind("address", " or ".join([f"{scheme}://..." for scheme in schemes]), read)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _secret(value: object) -> Secret:
    text = _text(value)
    # RFC 9110 section 5.5: a key is sent in a header field, so no control characters and nothing beyond ASCII.
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("it holds a space or a character that cannot stand in a header")
    return Secret(text)


def _listen(value: object) -> Address:
    return address(_text(value))


def _admin(value: object) -> Address | str:
    return OFF if value == OFF else address(_text(value))


def _workers(value: object) -> int | str:
    return "auto" if value == "auto" else int(whole(1, 256).read(value))


def _network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    text = _text(value)
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(str(error)) from None


def _model(value: object) -> ModelRef:
    provider, slash, model = _text(value).partition("/")
    if not slash or not _NAME.fullmatch(provider) or not _MODEL.fullmatch(model):
        raise ValueError('a model is written "provider/model"')
    return ModelRef(provider, model)


def _alias(value: object) -> str:
    if not _ALIAS.fullmatch(_text(value)):
        raise ValueError("an alias has letters, digits and . _ : - only")
    if value == "auto":
        raise ValueError('"auto" asks for the rules and cannot be an alias')
    return str(value)


def _target(value: object) -> str:
    text = _text(value)
    name = text.removeprefix("function:")
    if not _TARGET_NAME.fullmatch(name) or (name == text and "/" in name):
        raise ValueError("not a name of something to send requests to")
    return text


def _method(value: object) -> str:
    text = _text(value)
    if not _TOKEN.fullmatch(text) or text != text.upper():
        raise ValueError("a method is an HTTP token in capitals")
    return text


def shape(pattern: str) -> str:
    """A path pattern without its names: two of one shape take the same paths."""
    return "/".join([":" if part.startswith(":") else part for part in pattern.split("/")])


def _pattern(value: object) -> str:
    Table([(_text(value), None, None)])
    return str(value)


def _rate(value: object) -> Limit:
    limit = parse(_text(value))
    if limit is None:
        raise ValueError('"off" is for `address` and for the `limit` of a route')
    return limit


def _rate_or_off(value: object) -> Limit | str:
    return parse(_text(value)) or OFF


def _page_origin(value: object) -> str:
    text = _text(value)
    if text == "*" or _ORIGIN.fullmatch(text):
        return text
    if text.rstrip("/") != text:
        raise ValueError("an origin has no path and no slash at its end")
    raise ValueError("an origin is written as browsers send it, in lower case: scheme, host, and a port that is not the scheme's")


def _variable(value: object) -> str | int | float | bool | Secret:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not a finite number")
    if not isinstance(value, str | int | float | bool | Secret):
        raise ValueError("not a text, number or flag")
    return value


def _zone(value: object) -> str:
    crons.after("0 0 1 1 *", _text(value))
    return str(value)


def _store(value: object) -> str:
    text = _text(value)
    scheme, colon, rest = text.partition(":")
    if scheme in SCHEMES:
        parse_redis(text)
        return text
    if scheme in ("valkey", "valkeys"):
        raise ValueError("Valkey speaks Redis' protocol: write redis:// or rediss://")
    if not colon or scheme not in ("memory", "lmdb"):
        raise ValueError("there is no such store")
    if scheme == "memory" and rest:
        raise ValueError('"memory:" takes nothing behind the colon')
    if scheme == "lmdb" and not _LMDB.fullmatch(rest):
        raise ValueError('write "lmdb:./.wws/state", with ?map_size=1GiB behind it for more than 256 MiB')
    return text


def _function_name(value: object) -> str:
    text = _text(value)
    if not _TARGET_NAME.fullmatch(text):
        raise ValueError("not the path of a file in the functions folder")
    return text.removesuffix(".py")


def _reachable(value: object) -> str:
    text = _text(value).lower()
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    if not _HOST.fullmatch(text):
        raise ValueError("no name, address or network (an address has no port; a network's last bits are 0)")
    return text


PRICE = Kind("number", "a number from 0 to 10000, in USD", _price)
TEXT = Kind("text", "a text", _text)
FLAG = Kind("flag", "true | false", _flag)
NAME = Kind("name", "letters, digits, _ and -", matching(_NAME, "letters, digits, _ and - only, at most 63"))
BINDING = Kind("name", "a Python name", matching(_IDENTIFIER, "a binding is a Python name: env.NAME is how code reads it"))
WORD = Kind("word", "a word", matching(_WORD, "a word has no comma and does not begin with a space"))
REASON = Kind("text", "printable ASCII, at most 200", matching(_PRINTABLE, "a reason goes into a header: printable ASCII only"))
SECRET = Kind("secret", 'a text, best as "${NAME}"', _secret, secret=True)
LISTEN = Kind("listener", ADDRESS_ALLOWED, _listen)
ADMIN = Kind("listener", f'{ADDRESS_ALLOWED}, or "off"', _admin)
WORKERS = Kind("number", 'a whole number from 1 to 256, or "auto"', _workers)
NETWORKS = many(Kind("network", 'networks such as "10.0.0.0/8"', _network), empty=True)
MODELS = many(Kind("model", '"provider/model"', _model), one=True)
ALIASES = many(Kind("alias", "aliases of [models]", _alias))
ALIAS = Kind("alias", "an alias of [models]", _alias)
FUNCTION_NAME = Kind("function", 'a function of the folder, such as "api/hello"', _function_name)
REACHABLE = many(Kind("host", '"api.internal", "*.corp.example", "10.1.0.0/16"', _reachable), empty=True)
TARGET = Kind("target", '"ai" | "origin" | "static" | "function:NAME" | the name of one of [origins]', _target)
METHODS = many(Kind("method", "HTTP methods in capitals", _method))
ORIGINS = many(Kind("origin", '"https://app.example", "https://*.app.example" or "*"', _page_origin), empty=True)
SCOPES = many(Kind("scope", "scopes", matching(_TOKEN, "a scope is one word")), empty=True)
WORDS = many(WORD, one=True)
VARIABLE = Kind("text, number or flag", "a text, a number, true or false", _variable)
STORE = Kind("store", f'"memory:", "lmdb:FOLDER", {REDIS}', _store)
FUNCTION = Kind("function", "the path of a file below functions/, without .py", matching(_TARGET_NAME, "not a function's name"))
CRONS = Kind("list", f"a list of {crons.ALLOWED}", crons.crons)
ZONE = Kind("time zone", 'a name such as "Europe/Berlin"', _zone)
PATTERN = Kind("path", '"/exact", "/with/:name" or "/all/*"', _pattern)
RATE = Kind("rate", '"60/min", "5/10s", "1000/hour", "60/min burst 10", "60/min approximate"', _rate)
RATE_OR_OFF = Kind("rate", f'{RATE.allowed} or "off"', _rate_or_off)
PATH = Kind("file", "the path of a file", _text)
URL = url("http", "https", "http+unix")
WEB_URL = url("http", "https")
