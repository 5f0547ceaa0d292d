"""One property for the whole: an answer that is served was storable, is fresh or allowed stale, and is the asker's to see.

Random histories of requests, answers and time run through the real cache, against a model that remembers every answer the origin
gave: to whom, when, with which directives.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functions.cache_parts import Site, answer
from wws.core.cache.directives import Directives, in_force
from wws.core.policy import CachePolicy
from wws.http import Response

CONTROLS = [
    "",
    "max-age=20",
    "max-age=100, public",
    "max-age=20, stale-while-revalidate=30",
    "max-age=20, stale-if-error=60",
    "max-age=20, must-revalidate",
    "s-maxage=40",
    "no-cache",
    "no-store",
    "private, max-age=100",
]


@dataclass(frozen=True)
class Made:
    """One answer of the origin."""

    target: str
    user: str | None
    language: str | None
    varies: bool
    said: Directives
    cookie: bool
    at: float


@dataclass(frozen=True)
class Step:
    target: str
    user: str | None
    language: str | None
    control: str
    status: int
    varies: bool
    cookie: bool
    tagged: bool
    wait: float
    method: str


_STEPS = st.lists(
    st.builds(
        Step,
        target=st.sampled_from(["/a", "/b"]),
        user=st.sampled_from([None, None, "alice", "bob"]),
        language=st.sampled_from([None, "de"]),
        control=st.sampled_from(CONTROLS),
        status=st.sampled_from([200, 200, 200, 200, 404, 500, 503]),
        varies=st.booleans(),
        cookie=st.sampled_from([False, False, False, True]),
        tagged=st.booleans(),
        wait=st.sampled_from([0.0, 1.0, 15.0, 30.0, 70.0, 250.0]),
        method=st.sampled_from(["GET", "GET", "GET", "GET", "GET", "POST"]),
    ),
    min_size=1,
    max_size=25,
)
_POLICIES = st.builds(
    CachePolicy,
    st.sampled_from(["fixed", "obey-origin"]),
    st.just(60.0),
    st.just(300.0),
    st.sampled_from([None, "public", "user"]),
)


class Model:
    """Every answer by the number in its body, and when each target was last changed."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.made: dict[bytes, Made] = {}
        self.changed: dict[str, float] = {}

    def reply(self, step: Step) -> Response:
        body = b"%d" % len(self.made)
        fields = {"cache_control": step.control} if step.control else {}
        if step.varies:
            fields["vary"] = "accept-language"
        if step.cookie:
            fields["set_cookie"] = "a=b"
        if step.tagged:
            fields["etag"] = f'"{len(self.made)}"'
        response = answer(body, step.status, **fields)
        said = in_force(response.headers.raw)
        now = self.site.clock.monotonic()
        self.made[body] = Made(step.target, step.user, step.language, step.varies, said, step.cookie, now)
        return response

    def check(self, step: Step, policy: CachePolicy, source: str, age: int, response: Response) -> None:
        assert isinstance(response.body, bytes)
        made = self.made[response.body]
        now = self.site.clock.monotonic()
        assert made.target == step.target
        if source == "origin":
            return
        # It was storable.
        assert response.status in (200, 404)
        assert not made.said.no_store
        assert not made.said.private
        assert not made.said.no_cache
        assert not made.cookie
        assert "set-cookie" not in response.headers
        # It is fresh, or allowed stale.
        assert age == int(now - made.at)
        stated = made.said.s_maxage if made.said.s_maxage is not None else made.said.max_age
        fixed = policy.mode == "fixed"
        lifetime = min(stated, policy.fresh) if fixed and stated is not None else policy.fresh if fixed else stated or 0
        grace = max(made.said.stale_while_revalidate or 0, made.said.stale_if_error or 0)
        window = max(policy.stale, lifetime + grace) if fixed else lifetime + grace
        assert now - made.at < (lifetime if made.said.forbids_stale else max(lifetime, window))
        assert (source == "cache") == (now - made.at < lifetime) or response.status == 404
        # It is the asker's to see.
        if policy.per == "user":
            assert made.user == step.user
        elif (policy.per, policy.mode) != ("public", "fixed"):
            assert (made.user is None and step.user is None) or made.said.shareable
        # It was made for a request that selects the same, and its resource has not been changed since.
        assert not made.varies or made.language == step.language
        assert made.at >= self.changed.get(step.target, 0.0)


async def run(policy: CachePolicy, steps: list[Step]) -> list[str]:
    """Where each answer came from, every one of them held against the model."""
    sources = []
    site = Site(policy)
    model = Model(site)
    for step in steps:
        await site.later(step.wait)
        site.origin.reply = lambda step=step: model.reply(step)  # type: ignore[misc]
        fields = {} if step.language is None else {"accept_language": step.language}
        if step.user is not None:
            fields["authorization"] = f"Bearer {step.user}"
        result = await site.get(step.target, step.method, step.user, **fields)
        if step.method == "POST" and step.status < 400:
            model.changed[step.target] = site.clock.monotonic()
        model.check(step, policy, result.source, result.age, result.data)
        sources.append(result.source)
        await site.background.drain()
    return sources


@settings(deadline=None, max_examples=150)
@given(_POLICIES, _STEPS)
def test_what_is_served_from_the_cache_was_storable_is_fresh_enough_and_is_the_askers_to_see(
    policy: CachePolicy, steps: list[Step]
) -> None:
    sources = asyncio.run(run(policy, steps))
    assert len(sources) == len(steps)
    assert not sources or sources[0] not in ("hit", "stale"), "nothing is stored before the first request"
