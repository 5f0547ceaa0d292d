"""Forms as browsers send them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wws.errors import Refusal
from wws.forms import File, read
from wws.http import Request

MULTIPART = "multipart/form-data; boundary=----x"


def multipart(*parts: tuple[str, bytes]) -> bytes:
    return b"".join([b"------x\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]) + b"------x--\r\n"


async def test_a_form_of_texts() -> None:
    request = Request("POST", "/", {"content-type": "application/x-www-form-urlencoded"}, "a=1&b=x+y%21&a=2&c=")
    form = await request.form()
    assert (form["a"], form.get("b"), form.getall("a"), form.get("none"), form["c"]) == ("1", "x y!", ["1", "2"], None, "")
    assert list(form) == ["a", "b", "c"] and len(form) == 4 and "a" in form and "z" not in form
    with pytest.raises(KeyError):
        _ = form["z"]


def test_a_form_with_a_file() -> None:
    body = multipart(
        ('Content-Disposition: form-data; name="text"', "gr\u00fc\u00df".encode()),
        (
            'Content-Disposition: form-data; name="file"; filename="../x.png"\r\nContent-Type: image/png',
            b"\x89PNG\r\n\x00\xff\n\r",
        ),
    )
    form = read(MULTIPART, body)
    assert form["text"] == "gr\u00fc\u00df"
    assert form["file"] == File("../x.png", "image/png", b"\x89PNG\r\n\x00\xff\n\r")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_come_through_a_file(data: bytes) -> None:
    if b"------x" not in data:
        head = 'Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: application/octet-stream'
        assert read(MULTIPART, multipart((head, data)))["f"] == File("f", "application/octet-stream", data)


@settings(deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([MULTIPART, "application/x-www-form-urlencoded", "multipart/form-data", "x; boundary=\xff"]),
)
def test_whatever_is_sent_is_a_form_or_refused(data: bytes, kind: str) -> None:
    try:
        read(kind, data)
    except Refusal as refusal:
        assert refusal.code in ("invalid_request", "unsupported_media_type")


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (None, b"a=1", "unsupported_media_type"),
        ("application/json", b"{}", "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"a=%ff", "invalid_request"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1001), "invalid_request"),
        (MULTIPART, b"", "invalid_request"),
        (MULTIPART, multipart(("Content-Disposition: form-data; name=a", b"1"))[:-12], "invalid_request"),
        (MULTIPART, multipart(("Content-Type: text/plain", b"1")), "invalid_request"),
        (MULTIPART, multipart(('Content-Disposition: form-data; name="a"', b"\xff")), "invalid_request"),
        (MULTIPART, multipart(*[('Content-Disposition: form-data; name="a"', b"1")] * 1002), "invalid_request"),
    ],
)
def test_what_is_no_form(kind: str | None, body: bytes, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(kind, body)
    assert caught.value.code == code
