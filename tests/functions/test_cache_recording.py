"""A stream is stored only after it passed whole, well and within the limit; what passes is never changed by that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.functions.cache_parts import Pieces, Site, answer, sent
from wws.core.cache.storable import MAX_BODY
from wws.errors import UpstreamCut
from wws.functions.cache_recording import Recording, drain
from wws.http import Outcome, Response


class Upper:
    """A transform that was there before."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk.upper()

    def end(self, outcome: Outcome) -> bytes:
        return b"!" if outcome == "done" else b""


async def test_a_stream_is_stored_after_its_clean_end() -> None:
    site = Site()
    site.origin.reply = lambda: answer(Pieces(b"one ", b"", b"two").stream())
    first = await site.get()
    assert first.status == "fwd=uri-miss"  # whether it is stored is not known yet
    assert not site.cache.shelf.slots
    assert await sent(first.data) == b"one two"
    result = await site.get()
    assert (result.source, result.data.body) == ("cache", b"one two")


async def test_a_stream_that_was_cut_is_not_stored() -> None:
    site = Site()
    site.origin.reply = lambda: answer(Pieces(b"one ", UpstreamCut("cut", answered=True)).stream())
    with pytest.raises(UpstreamCut):
        await sent((await site.get()).data)
    assert not site.cache.shelf.slots
    assert len(site.cache.flights) == 0


@pytest.mark.parametrize("outcome", ["cut", "stall", "client_closed", "error"])
async def test_no_outcome_but_done_stores(outcome: str) -> None:
    site = Site()
    site.origin.reply = lambda: answer(Pieces(b"one").stream())
    stream = (await site.get()).data.body
    assert not isinstance(stream, bytes)
    assert stream.transform is not None
    stream.transform.feed(b"one")
    stream.transform.end(outcome)
    assert not site.cache.shelf.slots
    assert len(site.cache.flights) == 0


@pytest.mark.parametrize(("announced", "stored"), [(None, True), (7, True), (8, False), (6, False)])
async def test_a_body_that_is_not_as_long_as_announced_is_not_stored(announced: int | None, stored: bool) -> None:
    site = Site()

    def reply() -> Response:
        response = answer(Pieces(b"one ", b"two").stream())
        response.length = announced
        return response

    site.origin.reply = reply
    assert await sent((await site.get()).data) == b"one two"
    assert bool(site.cache.shelf.slots) is stored


async def test_a_stream_announced_over_the_limit_is_not_recorded() -> None:
    site = Site()

    def reply() -> Response:
        response = answer(Pieces(b"x").stream())
        response.length = MAX_BODY + 1
        return response

    site.origin.reply = reply
    result = await site.get()
    assert result.status == "fwd=uri-miss; detail=too-large"
    assert not isinstance(result.data.body, bytes)
    assert result.data.body.transform is None


async def test_a_stream_that_grows_over_the_limit_passes_unstored() -> None:
    site = Site()
    piece = b"x" * 100_000
    site.origin.reply = lambda: answer(Pieces(*[piece] * 11).stream())
    result = await site.get()
    stream = result.data.body
    assert not isinstance(stream, bytes)
    assert isinstance(stream.transform, Recording)
    assert len(await sent(result.data)) == 1_100_000
    assert not stream.transform.live
    assert not site.cache.shelf.slots
    assert len(site.cache.flights) == 0


async def test_a_refresh_that_grows_over_the_limit_is_stopped() -> None:
    site = Site()
    await site.get()
    await site.later(61)
    pieces = Pieces(*[b"x" * 300_000] * 100)
    site.origin.reply = lambda: answer(pieces.stream())
    assert (await site.get()).source == "stale"
    await site.background.drain()
    assert pieces.closed
    assert not site.cache.shelf.slots


async def test_a_refresh_stores_a_stream_whole() -> None:
    site = Site()
    await site.get()
    await site.later(61)
    site.origin.reply = lambda: answer(Pieces(b"one ", b"two").stream())
    await site.get()
    await site.background.drain()
    assert (await site.get()).data.body == b"one two"


@pytest.mark.parametrize("status", [500, 200])
async def test_a_refreshs_stream_that_is_not_kept_is_closed(status: int) -> None:
    site = Site()
    await site.get()
    await site.later(61)
    pieces = Pieces(b"x")
    site.origin.reply = lambda: answer(pieces.stream(), status, cache_control="no-store")
    await site.get()
    await site.background.drain()
    assert pieces.closed


async def test_a_refreshs_stream_that_is_cut_leaves_the_old_answer() -> None:
    site = Site()
    await site.get()
    await site.later(61)
    site.origin.reply = lambda: answer(Pieces(b"x", UpstreamCut("cut", answered=True)).stream())
    await site.get()
    await site.background.drain()
    assert (await site.get()).data.body == b"body"


async def test_a_server_error_that_a_stale_answer_stands_in_for_is_closed() -> None:
    site = Site()
    site.origin.reply = lambda: answer(etag='"a"', cache_control="max-age=1, stale-if-error=1000")
    await site.get()
    await site.later(400)
    pieces = Pieces(b"sorry")
    site.origin.reply = lambda: answer(pieces.stream(), 503)
    assert (await site.get()).data.body == b"body"
    assert pieces.closed


async def test_what_an_earlier_transform_lets_through_is_what_is_recorded() -> None:
    site = Site()

    def reply() -> Response:
        stream = Pieces(b"one ", b"two").stream()
        stream.transform = Upper()
        return answer(stream)

    site.origin.reply = reply
    assert await sent((await site.get()).data) == b"ONE TWO!"
    assert (await site.get()).data.body == b"ONE TWO!"


async def test_draining_reads_to_the_end_or_to_the_limit() -> None:
    kept: list[bytes] = []
    settled: list[bool] = []
    recording = Recording(kept.append, None, Upper())
    recording.then = lambda: settled.append(True)
    assert await drain(Pieces(b"a", b"b").stream(), recording) == b"AB!"
    assert (kept, settled) == ([b"AB!"], [True])
    large = Pieces(*[b"x" * MAX_BODY] * 5)
    assert await drain(large.stream(), Recording(kept.append, None, None)) is None
    assert large.closed
    assert kept == [b"AB!"]


@given(
    st.lists(st.binary(max_size=20), max_size=8),
    st.sampled_from(["done", "cut", "client_closed"]),
    st.one_of(st.none(), st.integers(0, 60)),
)
def test_what_passes_is_unchanged_and_what_is_kept_is_what_passed(
    chunks: list[bytes], outcome: str, announced: int | None
) -> None:
    kept: list[bytes] = []
    settled: list[bool] = []
    recording = Recording(kept.append, announced, None)
    recording.then = lambda: settled.append(True)
    passed = b"".join([recording.feed(chunk) for chunk in chunks]) + recording.end(outcome)
    assert passed == b"".join(chunks)
    assert kept == ([passed] if outcome == "done" and announced in (None, len(passed)) else [])
    assert settled == [True]
