"""One tree for programs, one table for callers, and a page that says the same."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from wws import codec, errors
from wws.errors import TABLE, ConfigError, ConnectFailed, Problem, Refusal, UpstreamCut, UpstreamTimeout, WwsError
from wws.functions.refuse import refuse

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
SOURCE = Path(__file__).parents[1] / "src"
OPENAI_TYPES = {
    "invalid_request_error", "authentication_error", "permission_error", "not_found_error", "rate_limit_error",
    "insufficient_quota", "server_error",
}  # fmt: skip


def test_the_tree() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    raised = [one for one in classes if isinstance(one, type) and issubclass(one, Exception)]
    assert len(raised) == 12
    assert all(issubclass(one, WwsError) for one in raised)
    upstream = {one.__name__ for one in raised if issubclass(one, errors.UpstreamError)}
    assert upstream == {"UpstreamError", "ConnectFailed", "UpstreamTimeout", "UpstreamCut", "UpstreamMalformed"}
    drawn = re.findall(r"\+-- (\w+)", errors.__doc__ or "")
    assert set(drawn) == {one.__name__ for one in raised} - {"WwsError"}


@pytest.mark.parametrize("code", TABLE)
def test_every_row_is_whole(code: str) -> None:
    row = TABLE[code]
    assert re.fullmatch(r"[a-z_]+", code)
    assert row.status == 499 or row.status in set(HTTPStatus)
    assert 400 <= row.status < 600
    assert row.type in OPENAI_TYPES
    assert row.error_type.split("_")[0] in ("caller", "policy", "provider", "dependency", "wws")
    assert row.message.endswith(".")
    assert row.message[0].isupper()


@pytest.mark.parametrize("code", TABLE)
def test_whose_fault_it_is_shows_in_the_status(code: str) -> None:
    """A caller retries what is ours or behind us, and corrects what is his: 4xx and 5xx must not be mixed up."""
    row = TABLE[code]
    whose = row.error_type.split("_")[0]
    if whose == "caller" or code == "client_closed":
        assert 400 <= row.status < 500
    if whose in ("dependency", "wws"):
        assert row.status >= 500
    if whose == "provider":
        assert row.status >= 500 or row.status == 429
    assert (row.type == "server_error") is (row.status >= 500)
    assert (row.status in (401, 403)) is (row.error_type == "policy_unauthenticated")


@pytest.mark.parametrize("openai", [True, False])
@pytest.mark.parametrize("code", TABLE)
def test_every_code_can_be_an_answer(code: str, openai: bool) -> None:
    row = TABLE[code]
    response = refuse(Refusal(code), openai=openai)
    assert response.status == row.status
    assert isinstance(response.body, bytes)
    told = codec.std_decode(response.body)
    if openai:
        assert told == {"type": "error", "error": {"message": row.message, "type": row.type, "param": None, "code": code}}
    else:
        assert (told["status"], told["detail"], told["code"]) == (row.status, row.message, code)
        assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert ("retry-after" in response.headers) is (row.status in (429, 503))


@pytest.mark.parametrize(
    ("seconds", "header", "milliseconds"),
    [(0.0, "1", "1"), (0.2, "1", "200"), (1.0, "1", "1000"), (1.01, "2", "1010"), (59.5, "60", "59500")],
)
def test_waiting_as_long_as_we_say_is_always_enough(seconds: float, header: str, milliseconds: str) -> None:
    response = refuse(Refusal("rate_limit_exceeded", retry_after=seconds), openai=True)
    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == (header, milliseconds)


def test_what_a_refusal_carries_becomes_fields() -> None:
    response = refuse(
        Refusal("method_not_allowed", param="x", challenge='Bearer realm="wws"', retry=False, allow=("GET", "HEAD")), openai=False
    )
    assert response.headers["www-authenticate"] == 'Bearer realm="wws"'
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["allow"] == "GET, HEAD"
    assert isinstance(response.body, bytes)
    assert codec.std_decode(response.body)["param"] == "x"


def test_a_message_of_one_request_is_not_that_of_another() -> None:
    """Bodies are kept for the next time; what they are kept by must be all they are made of."""
    seen = set()
    for message in (None, "One.", "Two."):
        for param in (None, "model"):
            for openai in (True, False):
                body = refuse(Refusal("invalid_request", message, param=param), openai=openai).body
                assert body == refuse(Refusal("invalid_request", message, param=param), openai=openai).body
                assert isinstance(body, bytes)
                seen.add(body)
    assert len(seen) == 12


def test_many_different_messages_do_not_stay() -> None:
    from wws.functions import refuse as module

    for number in range(1000):
        refuse(Refusal("invalid_request", f"Number {number}."), openai=True)
    assert len(module._bodies) <= 256


def test_a_code_that_is_no_row_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Refusal("no_such_code")


def test_every_code_that_the_source_names_is_a_row() -> None:
    named = set()
    for file in SOURCE.rglob("*.py"):
        named |= set(re.findall(r"(?:Refusal|Fault)\(\s*\"(\w+)\"", file.read_text()))
    assert {"invalid_json", "missing_credential", "origin_timeout", "overloaded"} <= named
    assert named <= set(TABLE)


def rows(page: str) -> dict[str, tuple[int, str, str]]:
    """The table of the page: code to status, type and error_type."""
    found = re.findall(r"^\| `(\w+)` \| (\d+) \| `(\w+)` \| `(\w+)` \| .+ \|$", page, re.MULTILINE)
    return {code: (int(status), kind, error_type) for code, status, kind, error_type in found}


def test_the_page_has_every_code_as_the_table_has_it() -> None:
    assert rows(PAGE.read_text()) == {code: (row.status, row.type, row.error_type) for code, row in TABLE.items()}


def test_problems_say_where() -> None:
    assert str(Problem("wws.toml", 3, "server.listen", "is wrong")) == "wws.toml:3: server.listen: is wrong"
    assert str(Problem("wws.toml", None, "", "is not there")) == "wws.toml: is not there"
    both = ConfigError([Problem("a", 1, "k", "x"), Problem("a", 2, "", "y")])
    assert str(both) == "a:1: k: x\na:2: y"


def test_whether_a_request_may_have_arrived_is_known() -> None:
    """What may have arrived is not sent again where that would do something twice."""
    assert not ConnectFailed("refused").sent
    assert not UpstreamTimeout("connect").sent
    assert UpstreamTimeout("first_byte").sent
    assert UpstreamCut("reset", answered=True).sent
