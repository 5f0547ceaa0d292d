from __future__ import annotations

from wws.project.exposed import exposed

TOML = """\
name = "p"
[kv]
store = "redis://user:{password}@127.0.0.1:6379/0"
[auth]
supabase_key = "{key}"
[providers.zai]
api_key = "{key}"
[vars]
PLAIN = "a value"
"""


def test_secrets_in_the_clear_are_named_with_their_line_and_not_shown() -> None:
    problems = exposed(TOML.format(password="hunter2", key="sk-hunter3"), "wws.toml")
    assert [(problem.line, problem.key) for problem in problems] == [
        (3, "kv.store"),
        (5, "auth.supabase_key"),
        (7, "providers.zai.api_key"),
    ]
    assert "hunter" not in "".join(map(str, problems))


def test_references_are_not_secrets() -> None:
    assert exposed(TOML.format(password="${PASSWORD}", key="${KEY}"), "wws.toml") == []


def test_an_escaped_reference_is_a_text() -> None:
    assert len(exposed(TOML.format(password="${P}", key="$${KEY}"), "wws.toml")) == 2


def test_a_publishable_key_may_be_seen() -> None:
    assert exposed('[auth]\nsupabase_key = "sb_publishable_abc"\n', "wws.toml") == []
