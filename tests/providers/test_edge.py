"""At the edge there is only the standard library: the same requests, verdicts and streams come out there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"

SCRIPT = """
import sys
sys.path.insert(0, SRC)
import asyncio, hashlib
from wws import codec
from wws.bindings import Call
from wws.core.policy import ModelRef, Policy, ProviderConfig, Timeouts
from wws.core.wire.tap import UsageTap
from wws.core.wire.usage import from_answer, served_model
from wws.http import Headers, Response
from wws.providers import KINDS, make_providers

class Clock:
    def time(self): return 1790000000.0
    def monotonic(self): return 1000.0
    async def sleep(self, seconds): pass

class Dial:
    async def send(self, endpoint, method, target, headers, body, timeouts, deadline=None):
        print(method, target, sorted(headers), body.decode())
        return Response.json({"id": "1", "choices": [{"index": 0}]})

BODY = b'{"messages": [{"role":"developer","content":"Be \\\\u00e9"}, {"role":"tool","content":[{"type":"text","text":"x"}]},' \\
    b'{"role":"user","content":"call f"}], "temperature": 0.70, "max_tokens": 999999, "reasoning_effort": "low",' \\
    b'"tools": [{"type":"function","function":{"name":"f"}}], "tool_choice": "required", "thinking": {"type":"disabled"}}'
ANSWERS = [b'{}', b'', b'{"error":{"code":"1305","message":"m"}}', b'{"error":"Invalid API Key."}',
    b'{"id":"1","choices":[{"finish_reason":"sensitive"}],"model":"m","usage":{"prompt_tokens":3,"completion_tokens":4}}']

async def main():
    configs = {kind: ProviderConfig(kind, kind, "http://127.0.0.1:1/v1", None, "k") for kind in KINDS}
    providers = make_providers(Policy(providers=configs), Clock())
    for kind in sorted(providers):
        for operation in sorted(providers[kind].operations - {"embeddings"}):
            for stream in (False, True):
                body = codec.split(BODY)
                call = Call(operation, ModelRef(kind, "glm-4.6"), body, stream, Headers(), Timeouts(), 1e9)
                response = await providers[kind].send(call, Dial())
                print(kind, operation, stream, call.warnings, call.hide_usage)
                if isinstance(response.body, bytes):
                    print(response.body.decode(), from_answer(response.body), served_model(response.body))
                else:
                    tap = UsageTap("anthropic" if operation == "messages" else "openai")
                    async for chunk in response.body:
                        print(tap.feed(chunk).decode())
                    print(tap.end("done"), tap.usage, tap.model, tap.finish_reason, tap.complete, tap.malformed)
        for status in (200, 400, 429, 503):
            for answer in ANSWERS:
                print(providers[kind].classify(status, Headers({"retry-after": "3"}), answer))

asyncio.run(main())
print("native" if "msgspec" in sys.modules else "standard library", file=sys.stderr)
"""


def run(*options: str) -> tuple[str, str]:
    script = SCRIPT.replace("SRC", repr(str(SRC)), 1)
    done = subprocess.run([sys.executable, *options, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.strip()


def test_with_the_standard_library_alone_the_same_comes_out() -> None:
    native, said = run()
    assert said == "native"
    plain, said = run("-I", "-S")  # no site packages: as on Cloudflare Workers and Deno
    assert said == "standard library"
    assert plain == native
    assert native.count("POST") >= 10 and '"tool_calls"' in native and "provider_overloaded" in native
