from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import process, wws

ZAI = "https://api.z.ai/api/paas/v4"


@pytest.fixture
def project(folder: Path) -> Path:
    wws("init")
    return folder


@pytest.mark.parametrize(
    ("arguments", "provider", "model", "reason"),
    [
        (("--type", "code", "--context-length", "200000"), "zai", "glm-4-long", "Context exceeds 128K, using GLM-4-Long"),
        (("--context-length", "128001"), "zai", "glm-4-long", "Context exceeds 128K, using GLM-4-Long"),
        (("--context-length", "128000"), "synthetic", "hf:moonshotai/Kimi-K2-Thinking", "Standard reasoning task"),
        (("--type", "debugging"), "synthetic", "hf:deepseek-ai/DeepSeek-V3", "Standard code task"),
        (("--type", "code", "--complexity", "high"), "synthetic", "hf:deepseek-ai/DeepSeek-V3", "Standard code task"),
        ((), "synthetic", "hf:moonshotai/Kimi-K2-Thinking", "Standard reasoning task"),
        (("--model", "long_context"), "zai", "glm-4-long", "alias long_context"),
        (("--model", "zai/glm-9"), "zai", "glm-9", "model named by the caller"),
    ],
)
def test_the_choice(project: Path, arguments: tuple[str, ...], provider: str, model: str, reason: str) -> None:
    done = wws("route", *arguments, "--json")
    assert done.status == 0
    assert (done.json["provider"], done.json["model"], done.json["reason"]) == (provider, model, reason)
    assert wws("route", *arguments).out.startswith(f"{provider}/{model}\n  reason     {reason}\n")


def test_all_of_it_for_machines(project: Path) -> None:
    done = wws("route", "--type", "code", "--json")
    assert {name: done.json[name] for name in ("alias", "base_url", "fallbacks")} == {
        "alias": "code",
        "base_url": "https://api.synthetic.new/openai/v1",
        "fallbacks": [{"provider": "zai", "base_url": ZAI, "model": "glm-4-flash"}],
    }
    assert [(rule["use"], rule["matched"], rule["chosen"]) for rule in done.json["rules"]] == [
        ("long_context", False, False),
        ("code", True, True),
        ("reasoning", True, False),
    ]
    assert done.json["rules"][0]["when"] == {"context_length_over": 128_000}


def test_the_rules_are_explained(project: Path) -> None:
    lines = process("route", "--type", "code", "--context-length", "5", cwd=project).out.splitlines()
    assert lines[-3:] == [
        "   rule 1, long_context: does not match: context_length 5 is not over 128000",
        "-> rule 2, code: matches: type 'code' is one of code, implementation, debugging",
        "   rule 3, reasoning: matches: always applies",
    ]


def test_a_model_that_was_named_has_no_rules_to_explain(project: Path) -> None:
    assert "rule" not in wws("route", "--model", "code").out
    assert wws("route", "--model", "code", "--json").json["rules"] == []


def test_without_a_file_the_defaults_are_explained(folder: Path) -> None:
    done = wws("route", "--type", "code")
    assert done.status == 0
    assert done.out.startswith("synthetic/hf:deepseek-ai/DeepSeek-V3\n")
    assert "base url   not configured" in done.out
    assert done.err == "no provider is configured: these are the defaults\n"
    assert list(folder.iterdir()) == []


def test_an_unknown_model(project: Path) -> None:
    done = wws("route", "--model", "nope")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: The model 'nope' does not exist here.")
    assert "does not exist" in wws("route", "--model", "nope", "--json").json["error"]["message"]


@pytest.mark.parametrize("arguments", [("--context-length", "-1"), ("--context-length", "many"), ("--complexity", "extreme")])
def test_bad_values_are_usage_errors(project: Path, arguments: tuple[str, ...]) -> None:
    done = wws("route", *arguments)
    assert (done.status, done.out) == (2, "")
