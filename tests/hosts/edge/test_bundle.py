"""What is shipped to an edge host, and the secrets it is completed with there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from wws.core.policy import AuthPolicy, Policy, ProviderConfig
from wws.errors import ConfigError
from wws.hosts.edge.bundle import PEPPER, Bundle, names, read, written

_POLICY = Policy(
    name="shop",
    auth=AuthPolicy(supabase_url="https://shop.supabase.co"),
    providers={"zai": ProviderConfig("zai", "zai"), "own": ProviderConfig("own", "openai", "https://ai.example")},
)
_BUNDLE = Bundle(
    _POLICY,
    ("VISITS",),
    {"REGION": "eu"},
    secrets={"auth.supabase_key": "${SUPABASE_KEY}", "providers.zai.api_key": "pre-${ZAI}-$${x}", "vars.TOKEN": "${ZAI}"},
)
_SECRETS = {"SUPABASE_KEY": "sb_publishable_1", "ZAI": "sk-planted", PEPPER: "a pepper of thirty-two bytes ..."}


def test_secrets_go_to_their_places() -> None:
    bundle, pepper = read(json.loads(json.dumps(written(_BUNDLE))), _SECRETS.get)
    assert bundle.policy.auth.supabase_key == "sb_publishable_1"
    assert bundle.policy.providers["zai"].api_key == "pre-sk-planted-${x}"
    assert bundle.policy.providers["own"].api_key is None
    assert bundle.vars == {"REGION": "eu", "TOKEN": "sk-planted"}
    assert (bundle.kv_namespaces, pepper) == (("VISITS",), _SECRETS[PEPPER].encode())


def test_every_secret_that_is_missing_is_named() -> None:
    assert names(_BUNDLE) == ("SUPABASE_KEY", PEPPER, "ZAI")
    with pytest.raises(ConfigError) as raised:
        read(written(_BUNDLE), {"ZAI": "sk-planted"}.get)
    assert [problem.key for problem in raised.value.problems] == ["SUPABASE_KEY", PEPPER]
    assert "sk-planted" not in str(raised.value)


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than 16 bytes"):
        read(written(_BUNDLE), {**_SECRETS, PEPPER: "pepper"}.get)


def test_a_secret_in_the_policy_is_never_written() -> None:
    for policy in (
        replace(_POLICY, auth=replace(_POLICY.auth, supabase_key="sb_publishable_1")),
        replace(_POLICY, providers={"zai": ProviderConfig("zai", "zai", api_key="sk-planted")}),
    ):
        with pytest.raises(ValueError, match="a secret stands in the policy"):
            written(replace(_BUNDLE, policy=policy))
