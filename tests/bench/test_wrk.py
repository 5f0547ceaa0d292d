"""wrk: the script that is written, the counts that are read, and runs that must not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.wrk import Call, Counts, judge, parse, script

_LINE = (
    'BENCH-JSON {"requests":231691,"microseconds":3000012,"status":2,"connect":1,"read":2,"write":3,'
    '"timeout":4,"p50":392.0,"p99":810.5}'
)
_OUTPUT = f"""\
Running 3s test @ http://127.0.0.1:4000/v1/chat/completions
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   411.01us  190.36us   9.10ms   95.52%
Requests/sec:  77230.41
{_LINE}
"""


def test_counts_are_read() -> None:
    counts = parse(_OUTPUT)
    assert counts == Counts(231691, 3.000012, 2, 10, 392.0, 810.5)
    assert counts.rate == pytest.approx(77230.0, abs=1)


def test_output_without_counts_is_an_error_that_quotes_it() -> None:
    with pytest.raises(BenchError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_the_script_sets_method_headers_and_body() -> None:
    call = Call("http://127.0.0.1:1/", body=b"{}", headers={"authorization": "Bearer a.b-c_d"})
    lua = script(call, Path("/tmp/body"))
    assert 'wrk.method = "POST"' in lua
    assert 'wrk.headers["authorization"] = "Bearer a.b-c_d"' in lua
    assert 'wrk.headers["content-type"] = "application/json"' in lua
    assert 'io.open("/tmp/body", "rb")' in lua
    assert "BENCH-JSON" in lua and "%%" not in lua


def test_a_call_without_a_body_sends_none() -> None:
    lua = script(Call("http://127.0.0.1:1/", method="GET"), Path("/tmp/body"))
    assert 'wrk.method = "GET"' in lua
    assert "io.open" not in lua
    assert "content-type" not in lua


def _counts(requests: int = 10, bad_status: int = 0, socket_errors: int = 0) -> Counts:
    return Counts(requests, 1.0, bad_status, socket_errors, 1.0, 1.0)


def test_the_same_counts_are_good_for_one_call_and_no_figure_for_another() -> None:
    answered, refused = _counts(), _counts(bad_status=10)
    judge(Call("u"), answered)
    judge(Call("u", status=401), refused)
    for call, counts in ((Call("u"), refused), (Call("u", status=401), answered)):
        with pytest.raises(BenchError, match="of status 400 or more where"):
            judge(call, counts)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (200, _counts(requests=0)),
        (200, _counts(bad_status=1)),
        (200, _counts(socket_errors=1)),
        (429, _counts(bad_status=9)),
        (429, _counts(bad_status=0)),
    ],
)
def test_a_run_with_other_answers_than_expected_is_no_figure(status: int, counts: Counts) -> None:
    with pytest.raises(BenchError):
        judge(Call("http://127.0.0.1:1/x", status=status), counts)
