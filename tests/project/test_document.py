"""Single keys: what is found, where, and what a message shows."""

from __future__ import annotations

import pytest

from tests.project.files import ENVIRON, READY, examined, problems, project, warnings
from wws.errors import ConfigError
from wws.project.secret import MASK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'naem = "x"',
            '5: naem: unknown key; did you mean "name"?',
        ),
        (
            "[serve]\nlisten = 1",
            '5: serve: unknown key; did you mean "server"?',
        ),
        (
            '[server]\nlistne = "127.0.0.1:1"',
            '6: server.listne: unknown key; did you mean "listen"?',
        ),
        (
            "[attempts]\nxyzzy = 1",
            "6: attempts.xyzzy: unknown key; "
            "allowed: assemble, breaker, commit_after, hedge_after, max, retry_floor, retry_percent",
        ),
        (
            '[providers.synthetic.timeouts]\nconect = "1s"',
            '6: providers.synthetic.timeouts.conect: unknown key; did you mean "connect"?',
        ),
        (
            '[providers.synthetic.models."hf:a/b".timeouts]\nidel = "1s"',
            '6: providers.synthetic.models."hf:a/b".timeouts.idel: unknown key; did you mean "idle"?',
        ),
        (
            'server = "x"',
            '5: server: found "x"; this is a table: [server]',
        ),
        (
            "[kv_namespaces]\nbinding = 'X'",
            "5: kv_namespaces: found a table; this is an array of tables: [[kv_namespaces]]",
        ),
        (
            'rules = ["code"]',
            '5: rules[0]: found "code"; allowed: a table',
        ),
        (
            '[[rules]]\nreason = "x"\nuse = "code"\n[[rules]]\nreason = "y"',
            "8: rules[1]: `use` is missing; allowed: an alias of [models]",
        ),
        (
            '[server]\nlisten = "8787"',
            '6: server.listen: found "8787" (has no port from 0 to 65535 at its end); '
            'allowed: "host:port", "[::1]:port" or "unix:/path/to.sock"',
        ),
        (
            "[cache]\nfresh = 60",
            '6: cache.fresh: found 60 (a duration is a text with its unit: write "60s"); '
            'allowed: a duration such as "500ms", "60s" or "1h30m", from "0s" to "365d"',
        ),
        (
            '[server]\nlog = "everything"',
            '6: server.log: found "everything" (not one of these); allowed: "all" | "errors" | "off"',
        ),
        (
            "[attempts]\nassemble = { a = 1 }",
            "6: attempts.assemble: found a table (not true or false); allowed: true | false",
        ),
        (
            '[models]\ncode = ["' + "x" * 100 + '"]',
            '6: models.code: found ["'
            + "x" * 55
            + '... (a model is written "provider/model"); allowed: one or a list: "provider/model"',
        ),
        (
            "[vars]\nSTARTED = 1979-05-27",
            '6: vars.STARTED: found "1979-05-27" (not a text, number or flag); allowed: a text, a number, true or false',
        ),
    ],
)
def test_one_problem_with_its_line(text: str, expected: str) -> None:
    assert problems(placed(text)) == [expected]


def placed(text: str) -> str:
    """At line 5, with what else is needed to load: a key of the top level has to go in front of the tables of READY."""
    if text.startswith("["):
        return READY + text
    return "\n" * 4 + text + "\n" + READY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[vars]\nA = "${NOWHERE}"', "6: vars.A: NOWHERE is not set in the environment or .dev.vars"),
        ('[vars]\nA = "${ONE} and ${TWO}"', "6: vars.A: ONE and TWO are not set in the environment or .dev.vars"),
        ('[server]\ntrusted_proxies = ["${NET}"]', "6: server.trusted_proxies: NET is not set in the environment or .dev.vars"),
        ('[vars]\nA = "${oops"', "6: vars.A: `${` begins no reference: write ${NAME}, or $${ for the text ${ itself"),
    ],
)
def test_references(text: str, expected: str) -> None:
    for dev in (False, True):
        assert problems(READY + text, dev=dev) == [expected]


def test_references_are_replaced_in_any_text_and_in_lists() -> None:
    environ = {**ENVIRON, "PORT": "9000", "NET": "10.0.0.0/8", "FRESH": "5s"}
    text = (
        READY
        + '[server]\nlisten = "127.0.0.1:${PORT}"\ntrusted_proxies = ["${NET}", "192.168.0.0/16"]\n[cache]\nfresh = "${FRESH}"\n'
    )
    found = project(text, environ=environ)
    assert str(found.server.listen) == "127.0.0.1:9000"
    assert [str(network) for network in found.server.trusted_proxies] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert found.policy.cache.fresh == 5.0


def test_a_bad_value_from_the_environment_is_not_shown() -> None:
    found = problems(READY + '[server]\nlisten = "${ADDRESS}"', environ={**ENVIRON, "ADDRESS": "planted-address"})
    assert found == [
        '6: server.listen: found "${ADDRESS}" (the value of ADDRESS); allowed: "host:port", "[::1]:port" or "unix:/path/to.sock"'
    ]


@pytest.mark.parametrize("key", ["planted secret", "planted\\nsecret", ""])
def test_a_bad_secret_is_masked_but_its_fault_is_told(key: str) -> None:
    [found] = problems(f'[providers.zai]\napi_key = "{key}"\n[origin]\nurl = "http://localhost"')
    assert found.startswith(f"2: providers.zai.api_key: found {MASK} (")
    assert "planted" not in found


def test_a_bad_secret_of_the_environment_is_not_shown_either() -> None:
    [found] = problems(READY, environ={"SYNTHETIC_API_KEY": "planted\n"})
    assert found == (
        '2: providers.synthetic.api_key: found "${SYNTHETIC_API_KEY}" (the value of SYNTHETIC_API_KEY) '
        '(it holds a space or a character that cannot stand in a header); allowed: a text, best as "${NAME}"'
    )


def test_a_password_in_an_address_is_masked() -> None:
    [found] = problems(READY + '[kv]\nstore = "redis://user:plan/ted@host/zero"')
    assert f'found "redis://{MASK}@host/zero"' in found and "ted@" not in found


SESSIONS = '[auth]\nsupabase_url = "https://x.supabase.co"\nsupabase_key = "${SUPABASE_PUBLISHABLE_KEY}"\n'


def test_a_secret_in_the_file_is_a_warning() -> None:
    text = READY + SESSIONS + '[providers.zai]\napi_key = "planted"\n'
    message = 'a secret stands in the file; put it into .dev.vars or the environment and write "${NAME}"'
    assert warnings(text) == [f"9: providers.zai.api_key: {message}"]
    assert project(text).policy.providers["zai"].api_key == "planted"


def test_no_planted_secret_is_ever_shown() -> None:
    found = project(READY + SESSIONS + '[vars]\nTOKEN = "${TOKEN}"\n', environ={**ENVIRON, "TOKEN": "token-planted"})
    assert "planted" not in repr(found)
    assert found.policy.providers["synthetic"].api_key == "syn_planted"
    assert found.policy.auth.supabase_key == "sb_publishable_planted"


def test_a_variable_of_the_environment_is_a_secret_and_others_are_not() -> None:
    found = project(READY + '[vars]\nTOKEN = "${TOKEN}"\nNAME = "plain"\nN = 3\nON = true', environ={**ENVIRON, "TOKEN": "t"})
    assert found.vars["NAME"] == "plain"
    assert (found.vars["N"], found.vars["ON"]) == (3, True)
    token = found.vars["TOKEN"]
    assert str(token) == MASK
    assert not isinstance(token, str | int | float)
    assert token.reveal() == "t"


def test_a_bad_value_is_told_once_and_not_again_by_what_builds_on_it() -> None:
    text = READY + '[models]\ncode = "nonsense"\n[[rules]]\nuse = "code"\n[[routes]]\npath = "/x"\nto = "ai"\nmodels = ["code"]\n'
    assert [found.split(":")[1] for found in problems(text)] == [" models.code"]


def test_it_raises_all_of_them_as_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        project("a = 1\nb = 2\n" + READY)
    assert [problem.key for problem in caught.value.problems] == ["a", "b"]
    assert str(caught.value).splitlines()[0].startswith("nowhere/wws.toml:1: a: unknown key")


def test_nothing_is_located_when_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(text: str) -> None:
        raise AssertionError("located")

    monkeypatch.setattr("wws.project.document.locate", never)
    assert examined(READY + SESSIONS + '[providers.zai]\napi_key = "${ZAI_API_KEY}"').warnings == []
