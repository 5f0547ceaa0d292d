"""From the name a request gives to the models that may serve it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wws.core.fault import Fault
from wws.core.policy import DEFAULT_MODELS, ModelRef, Policy
from wws.core.route.choose import Choice, Router, Task
from wws.core.route.resolve import names, resolve
from wws.errors import TABLE

NOTHING = Task()
ROUTER = Router(Policy())


def fault(model: str | None, router: Router = ROUTER, operation: str = "chat") -> Fault:
    answer = resolve(model, NOTHING, router, operation)
    assert isinstance(answer, Fault)
    assert answer.code in TABLE
    assert answer.param == "model"
    return answer


def found(model: str | None, router: Router = ROUTER, task: Task = NOTHING, operation: str = "chat") -> Choice:
    answer = resolve(model, task, router, operation)
    assert isinstance(answer, Choice), answer
    return answer


@pytest.mark.parametrize("model", [None, "auto"])
def test_no_name_and_auto_leave_it_to_the_rules(model: str | None) -> None:
    assert found(model, task=Task(context_length=200_000)).reason == "Context exceeds 128K, using GLM-4-Long"
    assert found(model, task=Task("debugging")).alias == "code"
    assert found(model).alias == "reasoning"


@pytest.mark.parametrize("alias", ["code", "reasoning", "long_context"])
def test_an_alias_is_its_list_whatever_the_task(alias: str) -> None:
    assert found(alias, task=Task("code", "high", 10**6)) == Choice(alias, DEFAULT_MODELS[alias], f"alias {alias}")


@pytest.mark.parametrize(
    "model",
    ["zai/glm-4.7", "synthetic/hf:moonshotai/Kimi-K3", "synthetic/syn:large:text", "zai/a@b+c_d", "zai/" + "m" * 200],
)
def test_a_model_at_a_configured_provider_is_that_one(model: str) -> None:
    choice = found(model)
    provider, _, rest = model.partition("/")
    assert choice == Choice(None, (ModelRef(provider, rest),), "model named by the caller")
    assert str(choice.candidates[0]) == model


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-5",
        "Auto",
        "CODE",
        "code ",
        "openai/gpt-5",
        "zai/",
        "zai",
        "/glm-4.7",
        "ZAI/glm-4.7",
        "zai/ glm",
        "zai/glm\r\nx: y",
        "zai/glm\x00",
    ]
    + [
        "zai/gl\u00fcm",
        "zai/\U0001f600",
        "zai/a,b",
        'zai/a"b',
        "zai/-flag",
        "zai/../secret",
        "zai/" + "m" * 201,
        "a" * 10_000,
        "\ud800",
    ],
)
def test_every_other_name_is_not_found(model: str) -> None:
    assert fault(model).code == "model_not_found"


def test_the_text_names_what_there_is() -> None:
    assert fault("gpt-5").message == (
        "The model 'gpt-5' does not exist here. "
        "Use 'auto', an alias (code, reasoning, long_context) or provider/model (provider: synthetic, zai)."
    )


def test_a_model_without_its_provider_is_told_its_full_name() -> None:
    message = fault("hf:moonshotai/Kimi-K2-Thinking").message
    assert message is not None
    assert "Did you mean 'synthetic/hf:moonshotai/Kimi-K2-Thinking'?" in message


def test_a_name_that_is_not_safe_is_not_repeated() -> None:
    message = fault('x" <script>').message
    assert message is not None
    assert message.startswith("This model does not exist here.")
    assert "script" not in message


def test_a_restricted_route_serves_its_aliases_and_the_models_behind_them() -> None:
    router = Router(Policy(), allowed=("code",))
    assert found("code", router).candidates == DEFAULT_MODELS["code"]
    assert found("zai/glm-4-flash", router).candidates == (ModelRef("zai", "glm-4-flash"),)
    assert found(None, router, Task(context_length=10**6)).alias == "code"
    for model in ("reasoning", "long_context", "zai/glm-4-long", "zai/glm-4.7"):
        refused = fault(model, router)
        assert refused.code == "model_not_found"
        assert refused.message is not None
        assert "reasoning)" not in refused.message
        assert "(code)" in refused.message


def test_embeddings_without_a_model_use_their_own_alias() -> None:
    for model in (None, "auto"):
        message = fault(model, operation="embeddings").message
        assert message is not None
        assert "name provider/model at one of: synthetic, zai" in message
    policy = Policy(models={**DEFAULT_MODELS, "embeddings": (ModelRef("synthetic", "hf:nomic-ai/nomic-embed-text-v1.5"),)})
    assert found(None, Router(policy), operation="embeddings").alias == "embeddings"
    assert found("zai/embedding-3", operation="embeddings").candidates == (ModelRef("zai", "embedding-3"),)


def test_a_list_whose_providers_are_all_missing_is_our_fault_and_says_which() -> None:
    router = Router(Policy(), available={"synthetic"})
    assert found("code", router).candidates == (DEFAULT_MODELS["code"][0],)
    refused = fault("long_context", router)
    assert (refused.code, refused.message) == ("internal_error", "No provider of the alias 'long_context' is configured here.")
    answer = resolve(None, Task(context_length=10**6), router)
    assert isinstance(answer, Fault)
    assert answer.code == "internal_error"
    assert fault("zai/glm-4-long", router).code == "model_not_found"


def test_without_models_only_full_names_work() -> None:
    router = Router(Policy(models={}), available={"zai"})
    assert found("zai/glm-4.7", router).candidates == (ModelRef("zai", "glm-4.7"),)
    assert fault(None, router).code == "internal_error"
    assert fault("code", router).message == "The model 'code' does not exist here. Use 'auto' or provider/model (provider: zai)."


def test_the_list_of_names_is_each_name_that_resolves() -> None:
    assert names(ROUTER) == (
        "auto",
        "code",
        "reasoning",
        "long_context",
        "synthetic/hf:deepseek-ai/DeepSeek-V3",
        "zai/glm-4-flash",
        "synthetic/hf:moonshotai/Kimi-K2-Thinking",
        "zai/glm-4-plus",
        "zai/glm-4-long",
    )
    assert names(Router(Policy(), available={"synthetic"}, allowed=("code", "long_context"))) == (
        "auto",
        "code",
        "synthetic/hf:deepseek-ai/DeepSeek-V3",
    )
    for router in (ROUTER, Router(Policy(), available={"zai"}), Router(Policy(), allowed=("reasoning",))):
        for name in names(router):
            assert found(name, router).candidates


@given(st.text(max_size=40) | st.builds("{}/{}".format, st.sampled_from(["zai", "synthetic", "x"]), st.text(max_size=40)))
def test_whatever_the_name_what_reaches_a_header_is_printable_ascii(model: str) -> None:
    answer = resolve(model, NOTHING, ROUTER)
    texts = [answer.message or ""] if isinstance(answer, Fault) else [answer.reason, *map(str, answer.candidates)]
    for text in texts:
        assert text.isascii()
        assert text.isprintable()
