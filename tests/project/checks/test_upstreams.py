from __future__ import annotations

import pytest

from tests.project.files import ENVIRON, READY, problems, project, warnings
from wws.core.policy import DEFAULT_MODELS, DEFAULT_RULES, ModelRef

ORIGIN = '[origin]\nurl = "http://127.0.0.1:3000"\n'


@pytest.mark.parametrize("kind", ["synthetic", "zai"])
def test_a_provider_without_its_key_stops_serve_and_is_off_in_dev(kind: str) -> None:
    text = ORIGIN + f"[providers.{kind}]\n"
    message = f'3: providers.{kind}: `api_key` is missing: write api_key = "${{{kind.upper()}_API_KEY}}"'
    assert problems(text) == [message]
    assert f"{message}: provider {kind} is off" in warnings(text, dev=True)
    assert project(text, dev=True).policy.providers[kind].api_key is None


def test_a_key_whose_variable_is_missing_stops_serve_and_is_off_in_dev() -> None:
    text = ORIGIN + '[providers.synthetic]\napi_key = "${SYNTHETIC_API_KEY}"\n[providers.zai]\napi_key = "${ZAI_API_KEY}"\n'
    environ = {"ZAI_API_KEY": "k"}
    message = "4: providers.synthetic.api_key: SYNTHETIC_API_KEY is not set in the environment or .dev.vars"
    assert problems(text, environ=environ) == [message]
    assert f"{message}: provider synthetic is off" in warnings(text, environ=environ, dev=True)
    found = project(text, environ=environ, dev=True)
    assert (found.policy.providers["synthetic"].api_key, found.policy.providers["zai"].api_key) == (None, "k")


def test_the_hint_for_a_key_of_another_name() -> None:
    [found] = problems(ORIGIN + '[providers.my-zai]\nkind = "zai"\n[models]\nx = "my-zai/glm-4-plus"')
    assert found == '3: providers.my-zai: `api_key` is missing: write api_key = "${MY_ZAI_API_KEY}"'


def test_a_name_that_is_no_kind_needs_one() -> None:
    assert problems(READY + '[providers.zay]\nbase_url = "http://127.0.0.1:1"') == [
        '5: providers.zay: `kind` is missing, and the name is none; did you mean "zai"?; allowed: synthetic, zai, openai, sandbox'
    ]


def test_a_compatible_provider_needs_an_address_and_no_key() -> None:
    assert problems(READY + '[providers.local]\nkind = "openai"') == [
        '5: providers.local: `base_url` is missing: a provider of kind "openai" has no address of its own'
    ]
    found = project(READY + '[providers.local]\nkind = "openai"\nbase_url = "http://127.0.0.1:8000/v1"')
    assert found.policy.providers["local"].base_url == "http://127.0.0.1:8000/v1"


def test_a_key_in_the_clear_is_a_warning_but_not_on_this_machine() -> None:
    def at(host: str) -> str:
        key = 'api_key = "${SYNTHETIC_API_KEY}"'
        return READY + f'[providers.local]\nkind = "openai"\nbase_url = "http://{host}:8000/v1"\n{key}\n'

    message = "7: providers.local.base_url: http://gpu.internal:8000/v1 is not https: the key and every prompt pass in the clear"
    assert message in warnings(at("gpu.internal"))
    assert not [found for found in warnings(at("127.0.0.1")) if "in the clear" in found]


def test_without_any_provider_ai_routes_have_nobody() -> None:
    message = "None: providers: no provider is configured, and AI routes need one: write [providers.synthetic] with its `api_key`"
    assert problems(ORIGIN) == [message]
    assert f"{message}: only demo answers are possible" in warnings(ORIGIN, dev=True)
    assert project(ORIGIN, dev=True).policy.models == DEFAULT_MODELS


def test_without_ai_routes_nobody_is_needed() -> None:
    assert problems(ORIGIN + '[[routes]]\npath = "/*"\nto = "origin"\n') == []


def test_models_are_at_configured_providers() -> None:
    text = READY + '[models]\ncode = ["synthetic/a",\n  "synthetix/b", "zai/c"]\n'
    assert problems(text) == [
        "7: models.code[1]: found synthetix/b, but there is no [providers.synthetix]"
        '; did you mean "synthetic"?; allowed: synthetic',
        "7: models.code[2]: found zai/c, but there is no [providers.zai]; allowed: synthetic",
    ]


def test_models_without_any_provider_name_what_to_write() -> None:
    [found] = [one for one in problems(ORIGIN + '[models]\nx = "zai/glm-4-plus"') if "models" in one]
    assert found == "4: models.x[0]: found zai/glm-4-plus, but there is no [providers.zai]; write [providers.zai]"


def test_a_provider_that_is_broken_elsewhere_is_there_all_the_same() -> None:
    found = problems(ORIGIN + '[providers.local]\nkind = "opnai"\n[models]\nx = "local/m"')
    assert [one.split(":")[0] for one in found] == ["4"]


def test_default_models_shrink_to_the_providers_there_are() -> None:
    found = project(ORIGIN + '[providers.zai]\napi_key = "${ZAI_API_KEY}"').policy
    assert found.models == {
        "code": (ModelRef("zai", "glm-4-flash"),),
        "reasoning": (ModelRef("zai", "glm-4-plus"),),
        "long_context": (ModelRef("zai", "glm-4-long"),),
    }
    assert found.rules == DEFAULT_RULES


def test_a_default_alias_that_nobody_serves_is_a_warning_and_its_rule_goes() -> None:
    message = "1: providers: no configured provider serves the default models of long_context: list yours in [models]"
    assert message in warnings(READY)
    found = project(READY).policy
    assert list(found.models) == ["code", "reasoning"]
    assert [rule.use for rule in found.rules] == ["code", "reasoning"]


def test_given_models_replace_the_default_ones_and_keep_the_rules_that_still_fit() -> None:
    found = project(READY + '[models]\ncode = "synthetic/x"\nother = "synthetic/y"').policy
    assert list(found.models) == ["code", "other"]
    assert [rule.use for rule in found.rules] == ["code"]


def test_rules_use_aliases_there_are() -> None:
    text = READY + '[models]\ncode = "synthetic/x"\n[[rules]]\nuse = "coed"\n[[rules]]\nuse = "reasoning"\n'
    assert problems(text) == [
        '8: rules[0].use: found "coed", which is no alias of [models]; did you mean "code"?; allowed: code',
        '10: rules[1].use: found "reasoning", which is no alias of [models]; allowed: code',
    ]


def test_rules_may_use_the_default_aliases() -> None:
    assert problems(READY + '[[rules]]\nuse = "reasoning"\n') == []


def test_a_rule_that_nothing_can_match_is_refused() -> None:
    text = READY + '[[rules]]\nwhen = { context_length_over = 10, context_length_under = 11 }\nuse = "code"\n'
    assert problems(text) == ["6: rules[0].when: no context is longer than 10 and shorter than 11"]
    assert problems(text.replace("11", "12")) == []


def test_a_rule_behind_one_that_always_matches_is_a_warning() -> None:
    text = READY + '[[rules]]\nuse = "code"\n[[rules]]\nwhen = { type = "x" }\nuse = "reasoning"\n[[rules]]\nuse = "code"\n'
    found = [one for one in warnings(text) if "rules" in one]
    assert found == ["7: rules[1]: never reached: rule 1 always matches", "10: rules[2]: never reached: rule 1 always matches"]


def test_timeouts_pass_from_all_to_provider_to_model() -> None:
    found = project(
        READY
        + '[timeouts]\nconnect = "1s"\nidle = "7s"\n'
        + '[providers.synthetic.timeouts]\nidle = "8s"\n'
        + '[providers.synthetic.models."hf:a/b".timeouts]\ntotal = "9s"\n'
    ).policy
    provider = found.providers["synthetic"].timeouts
    model = found.model_timeouts["synthetic/hf:a/b"]
    assert (found.timeouts.connect, found.timeouts.idle, found.timeouts.total) == (1.0, 7.0, 300.0)
    assert (provider.connect, provider.idle, provider.total) == (1.0, 8.0, 300.0)
    assert (model.connect, model.idle, model.total) == (1.0, 8.0, 9.0)


def test_keys_are_not_in_what_is_printed() -> None:
    assert "syn_planted" not in repr(project(READY, environ=ENVIRON))
