"""The table of peers: ratios by round, streams that fell behind, reasons for what is missing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench.measure import Sample
from bench.peers.gateways import PEERS
from bench.peers.report import COLUMNS, Row, cells, markdown


def _row(**fields: object) -> Row:
    row = Row("Peer", "1.0", "Go", "a key", every_ms=2)
    for name, value in fields.items():
        setattr(row, name, value)
    return row


_CHATS = [Sample(120, 6000, 4.0, 9.0), Sample(150, 5000, 5.0, 10.0), Sample(180, 4000, 6.0, 11.0)]


def test_a_measured_row() -> None:
    row = _row(chats=_CHATS, nginx=[Sample(20), Sample(20), Sample(20)], events=[Sample(33.3, 15_900)], memory=36.6)
    assert cells(row) == ("Peer", "1.0", "Go", "a key", "150 us", "7.5 x", "5,000", "5.0 / 10.0", "33.3 us", "37 MB")


def test_streams_that_fell_behind_say_so() -> None:
    row = _row(chats=_CHATS, nginx=[Sample(20)] * 3, events=[Sample(90, 11_000)])
    assert cells(row)[8] == "90.0 us (behind: 11,000 of 16,000 a second)"


def test_a_peer_without_streams() -> None:
    assert cells(_row(chats=_CHATS, nginx=[Sample(20)] * 3))[8] == "none"


def test_a_peer_that_did_not_start() -> None:
    assert cells(_row())[4:] == ("not measured", "", "", "", "", "")


def test_rounds_that_do_not_match_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        cells(_row(chats=_CHATS, nginx=[Sample(20)]))


def test_the_page_lists_what_is_missing_and_why() -> None:
    rows = [_row(chats=_CHATS, nginx=[Sample(20)] * 3), _row(name="Other", reasons=["install: no wheel", "stream: 500"])]
    page = markdown(rows, {"CPU": "one"}, 3, 4.0, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    assert "- Other: install: no wheel\n- Other: stream: 500\n" in page
    assert "| measured | 2026-11-22 09:30 UTC |" in page
    table = [line for line in page.splitlines() if line.startswith(("| Peer", "| Other"))]
    assert {line.count("|") for line in table} == {len(COLUMNS) + 1}


def test_a_page_without_failures_has_no_such_list() -> None:
    assert "Not measured" not in markdown([_row(chats=_CHATS, nginx=[Sample(20)] * 3)], {}, 3, 4.0)


def test_all_four_peers_are_there_and_pinned() -> None:
    assert {peer.name for peer in PEERS} == {"TensorZero", "ferrogw", "Portkey gateway", "LiteLLM proxy"}
    assert all(peer.version[0].isdigit() and peer.auth for peer in PEERS)
