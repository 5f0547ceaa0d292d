"""Secrets that went through the gateway are nowhere afterwards: not in its files, its log, its metrics, or any answer."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.ask import ask, hello
from tests.e2e.conftest import Start
from tests.e2e.neighbours import Neighbours
from tests.e2e.projects import SECRETS, project
from tests.support.provider import openai_error, status

CHAT = "/api/ai/chat"
PROMPT = "the-planted-prompt-7e11"


def written(file: Path) -> bytes:
    """What stands in a file. A store's file is nearly all holes, which hold nothing and need not be read."""
    parts, at, size = [], 0, file.stat().st_size
    with file.open("rb", buffering=0) as source:
        while at < size:
            try:
                start = os.lseek(source.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: no data from here to the end
                break
            at = os.lseek(source.fileno(), start, os.SEEK_HOLE)
            parts.append(os.pread(source.fileno(), at - start, start))
    return b"".join(parts)


def test_planted_secrets_are_nowhere(start: Start, around: Neighbours) -> None:
    gateway = start(project(around))
    key: str = gateway.create_key("--scope", "*")["key"]
    revoked = gateway.create_key("--scope", "*")
    tokens = {alg: around.supabase.mint(alg, sub=f"user-{alg}") for alg in ("ES256", "RS256", "EdDSA", "HS256")}
    logged_out = around.supabase.mint("HS256", session_id="session-that-ends")
    around.supabase.logout("session-that-ends")
    forged, expired = around.supabase.mint(key="forged"), around.supabase.mint(exp=1_000_000_000)
    anon = around.supabase.anon_key()
    leaky = openai_error(f"Incorrect API key provided: {SECRETS['MAIN_API_KEY']}; the prompt was {PROMPT}")
    around.main.script("leaky-400", status(400, leaky))
    around.main.script("leaky-401", status(401, leaky))
    around.main.script("leaky-500", status(500, leaky))

    credentials = [key, *tokens.values(), logged_out, forged, expired, anon, revoked["key"]]
    answers = []
    for credential in credentials:
        answers.append(ask(gateway.url, CHAT, token=credential, body=hello(PROMPT, model="main/status-500")))
        answers.append(ask(gateway.url, f"/private/page?access_token={credential}", token=credential))
        answers.append(ask(gateway.url, CHAT, body=hello(), headers={"Authorization": f"Basic {credential}"}))
        answers.append(ask(gateway.url, CHAT, body=hello(), headers={"Authorization": f"Bearer {credential} extra"}))
    models = ("main/leaky-400", "main/leaky-401", "main/leaky-500", "gone/x", "main/silent")
    answers += [ask(gateway.url, CHAT, token=key, body=hello(PROMPT, model=model)) for model in models]
    assert gateway.run("keys", "revoke", revoked["id"]).status == 0
    answers.append(ask(gateway.url, CHAT, token=revoked["key"], body=hello()))
    metrics = ask(gateway.admin_url, "/metrics").body
    assert gateway.stop() == 0

    assert {answer.status for answer in answers} >= {200, 400, 401, 502, 504}
    signatures = [token.rpartition(".")[2] for token in credentials if "." in token]
    key_secrets = [text.split("_")[3] for text in (key, revoked["key"])]
    planted = [*credentials, *signatures, *key_secrets, *SECRETS.values()]
    files = {file.name: written(file) for file in gateway.folder.rglob("*") if file.is_file()}
    assert {"ledger.sqlite", "stderr.log"} <= set(files)
    assert any(name.endswith(".mdb") and revoked["id"].encode() in content for name, content in files.items())
    for secret in [*planted, PROMPT]:  # a prompt may come back to the one who wrote it, and to nobody else
        for name, content in files.items():
            assert secret.encode() not in content, f"{secret[:12]}... in {name}"
        assert secret.encode() not in metrics
    for secret in planted:
        for answer in answers:
            assert secret.encode() not in answer.body, answer
            assert secret not in str(answer.headers), answer


def test_the_store_is_for_its_owner_alone(start: Start, around: Neighbours) -> None:
    gateway = start(project(around))
    ask(gateway.url, "/private/page", token=around.supabase.mint())
    folder = gateway.folder / "state"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "pepper").stat().st_mode & 0o077 == 0
