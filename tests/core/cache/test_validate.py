"""Conditional requests in both directions (RFC 9111 sections 3.2 and 4.3, RFC 9110 section 13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.cache.entry import Entry
from wws.core.cache.validate import conditions, freshen, not_modified, not_modified_fields, validates

Pair = tuple[bytes, bytes]
MONDAY = b"Mon, 05 Jan 2026 00:00:00 GMT"
TUESDAY = b"Tue, 06 Jan 2026 00:00:00 GMT"
WEDNESDAY = b"Wed, 07 Jan 2026 00:00:00 GMT"


def entry(*headers: Pair, status: int = 200) -> Entry:
    return Entry(status, headers, b"body", 1_790_000_000.0, 0.0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([(b"etag", b'"a"')], [(b"if-none-match", b'"a"')]),
        ([(b"last-modified", MONDAY)], [(b"if-modified-since", MONDAY)]),
        ([(b"last-modified", MONDAY), (b"etag", b'W/"a"')], [(b"if-none-match", b'W/"a"'), (b"if-modified-since", MONDAY)]),
    ],
)
def test_our_question_to_the_origin(headers: list[Pair], expected: list[Pair]) -> None:
    assert conditions(entry(*headers)) == expected


@pytest.mark.parametrize(
    ("stored", "answer", "expected"),
    [
        ([(b"etag", b'"a"')], [(b"etag", b'"a"')], True),
        ([(b"etag", b'"a"')], [(b"etag", b'W/"a"')], True),
        ([(b"etag", b'"a"')], [(b"etag", b'"b"')], False),
        ([(b"etag", b'"a"')], [], True),
        ([(b"etag", b'"a"'), (b"last-modified", MONDAY)], [(b"etag", b'"a"'), (b"last-modified", TUESDAY)], True),  # ETag first
        ([(b"last-modified", MONDAY)], [(b"last-modified", MONDAY)], True),
        ([(b"last-modified", MONDAY)], [(b"last-modified", TUESDAY)], False),
        # The 304 to a condition of the client's own: it has a tag, ours has none.
        ([(b"last-modified", MONDAY)], [(b"etag", b'"x"')], False),
    ],
)
def test_whether_a_304_is_about_what_is_stored(stored: list[Pair], answer: list[Pair], expected: bool) -> None:
    assert validates(entry(*stored), answer) is expected


def test_a_304_replaces_fields_but_never_what_describes_the_body() -> None:
    stored = entry(
        (b"date", MONDAY),
        (b"etag", b'"a"'),
        (b"content-encoding", b"gzip"),
        (b"content-type", b"text/plain"),
        (b"cache-control", b"max-age=1"),
        (b"x-multi", b"1"),
        (b"x-multi", b"2"),
        (b"x-kept", b"k"),
    )
    answer = [
        (b"date", TUESDAY),
        (b"cache-control", b"max-age=3600"),
        (b"content-encoding", b"br"),
        (b"content-length", b"10"),
        (b"content-range", b"bytes 0-1/2"),
        (b"x-multi", b"3"),
        (b"x-new", b"n"),
        (b"connection", b"x-new2"),
        (b"x-new2", b"n"),
        (b"set-cookie", b"a=b"),
        (b"age", b"4"),
    ]
    fresh = freshen(stored, answer, 1_790_000_100.0, 4.0)
    assert sorted(fresh.headers) == sorted(
        [
            (b"etag", b'"a"'),
            (b"content-encoding", b"gzip"),
            (b"content-type", b"text/plain"),
            (b"x-kept", b"k"),
            (b"date", TUESDAY),
            (b"cache-control", b"max-age=3600"),
            (b"x-multi", b"3"),
            (b"x-new", b"n"),
        ]
    )
    assert (fresh.status, fresh.body, fresh.response_time, fresh.age) == (200, b"body", 1_790_000_100.0, 4.0)


def test_the_old_date_does_not_outlive_the_old_answer() -> None:
    assert freshen(entry((b"date", MONDAY), (b"etag", b'"a"')), [], 1_790_000_100.0, 0.0).headers == ((b"etag", b'"a"'),)


@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [
        ([(b"etag", b'"a"')], [], False),
        ([(b"etag", b'"a"')], [(b"if-none-match", b'"a"')], True),
        ([(b"etag", b'"a"')], [(b"if-none-match", b'W/"a"')], True),
        ([(b"etag", b'W/"a"')], [(b"if-none-match", b'"a"')], True),
        ([(b"etag", b'"a"')], [(b"if-none-match", b'"b"')], False),
        ([(b"etag", b'"a"')], [(b"if-none-match", b'"1", "a", W/"2"')], True),
        ([(b"etag", b'"a,b"')], [(b"if-none-match", b'"x", "a,b"')], True),
        ([(b"etag", b'"a"')], [(b"if-none-match", b'"1"'), (b"if-none-match", b'"a"')], True),
        ([(b"etag", b'"a"')], [(b"if-none-match", b"a")], False),
        ([(b"etag", b'"abc"')], [(b"if-none-match", b'"a"')], False),
        ([], [(b"if-none-match", b"*")], True),
        ([], [(b"if-none-match", b'"a"')], False),
        # If-None-Match has precedence, met or not.
        ([(b"etag", b'"a"'), (b"last-modified", MONDAY)], [(b"if-none-match", b'"b"'), (b"if-modified-since", TUESDAY)], False),
        ([(b"etag", b'"a"'), (b"last-modified", TUESDAY)], [(b"if-none-match", b'"a"'), (b"if-modified-since", MONDAY)], True),
        ([(b"last-modified", MONDAY)], [(b"if-modified-since", MONDAY)], True),
        ([(b"last-modified", MONDAY)], [(b"if-modified-since", TUESDAY)], True),
        ([(b"last-modified", TUESDAY)], [(b"if-modified-since", MONDAY)], False),
        ([(b"last-modified", MONDAY)], [(b"if-modified-since", b"yesterday")], False),
        ([(b"last-modified", MONDAY)], [(b"if-modified-since", TUESDAY), (b"if-modified-since", TUESDAY)], False),
        ([(b"date", MONDAY)], [(b"if-modified-since", TUESDAY)], True),  # no Last-Modified: Date stands in
        ([(b"date", WEDNESDAY)], [(b"if-modified-since", TUESDAY)], False),
        ([], [(b"if-modified-since", TUESDAY)], False),  # neither: the time it was received, which is later
    ],
)
def test_a_clients_question_answered_from_the_store(stored: list[Pair], asked: list[Pair], expected: bool) -> None:
    assert not_modified(asked, entry(*stored)) is expected


@pytest.mark.parametrize("status", [203, 204, 301, 404, 410])
def test_only_a_200_is_not_modified(status: int) -> None:
    assert not not_modified([(b"if-none-match", b"*")], entry(status=status))


def test_what_a_304_carries() -> None:
    stored = entry(
        (b"content-type", b"text/html"),
        (b"etag", b'"a"'),
        (b"last-modified", MONDAY),
        (b"cache-control", b"max-age=60"),
        (b"vary", b"accept"),
        (b"expires", TUESDAY),
        (b"date", MONDAY),
        (b"content-location", b"/x"),
        (b"x-other", b"1"),
    )
    names = {name for name, _ in not_modified_fields(stored)}
    assert names == {b"etag", b"cache-control", b"vary", b"expires", b"date", b"content-location"}
    assert not_modified_fields(entry((b"last-modified", MONDAY))) == [(b"last-modified", MONDAY)]


_TAGS = st.lists(st.text(st.sampled_from("ab,c *"), max_size=4), min_size=1, max_size=4)


@given(_TAGS, st.text(st.sampled_from("ab,c *"), max_size=4), st.booleans())
def test_a_list_of_tags_matches_exactly_its_members(tags: list[str], stored: str, weak: bool) -> None:
    line = ", ".join([f'{"W/" if weak else ""}"{tag}"' for tag in tags]).encode()
    allowed = " " not in "".join(tags)  # a space is no character of an entity tag (RFC 9110 section 8.8.3)
    found = not_modified([(b"if-none-match", line)], entry((b"etag", f'"{stored}"'.encode())))
    if allowed:
        assert found == (stored in tags)


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_whatever_a_client_sends_only_the_tag_and_a_date_not_before_are_not_modified(line: bytes, date: bytes) -> None:
    tagged = not_modified([(b"if-none-match", line)], entry((b"etag", b'"a"')))
    assert not tagged or b'"a"' in line or line.strip() == b"*"
    dated = not_modified([(b"if-modified-since", date)], entry((b"last-modified", MONDAY)))
    assert not dated or b":" in date  # no text without a time of day is a date
