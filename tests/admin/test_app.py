"""The admin listener: metrics and health, for who operates the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.observe.seen import add, call
from tests.support.services import make_env
from wws.admin.access import Access
from wws.admin.api import Api
from wws.admin.app import Admin
from wws.admin.dashboard import Dashboard
from wws.admin.tail import Tails
from wws.errors import WwsError
from wws.gateway import Gateway
from wws.http import Request, Response
from wws.observe.merge import exposition
from wws.observe.metrics import Metrics
from wws.observe.tally import Tally


class Gathered:
    """One process is all there is."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.failing = False

    async def metrics(self) -> bytes:
        if self.failing:
            raise WwsError("the other process is gone")
        return exposition(self._metrics)

    async def status(self) -> dict[str, Any]:
        return {"name": "shop", "workers": []}


class World:
    """An admin app over a gateway that has answered one call."""

    def __init__(self) -> None:
        self.gateway = Gateway(make_env())
        self.tally = Tally()
        self.gathered = Gathered(Metrics(self.tally, "v-1"))
        self.dashboard = Dashboard(self.gather, self.gathered.status, lambda: "local", None, lambda: 0.0)
        self.api = Api(Access(dict), None, Tails(self.gather), lambda: 1024)
        self.admin = Admin(self.gateway, self.gathered, self.api, self.dashboard)
        add(self.tally, call())

    async def gather(self, what: str, value: object) -> list[Any]:
        return []

    async def ask(self, path: str, method: str = "GET") -> Response:
        return await self.admin(Request(method, path))


async def test_metrics_are_prometheus_text() -> None:
    world = World()
    response = await world.ask("/metrics")
    assert response.status == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert isinstance(response.body, bytes)
    families = {family.name: family for family in text_string_to_metric_families(response.body.decode())}
    [requests] = families["wws_requests"].samples
    assert (requests.value, requests.labels["route"], requests.labels["status"]) == (1, "/api/ai/*", "2xx")
    assert families["wws_config_info"].samples[0].labels == {"version": "v-1"}
    assert all(family.documentation for family in families.values())


async def test_metrics_grow_between_two_looks() -> None:
    world = World()
    first = await world.ask("/metrics")
    add(world.tally, call())
    second = await world.ask("/metrics")
    assert isinstance(first.body, bytes) and isinstance(second.body, bytes)
    assert b'wws_requests_total{error_type="",route="/api/ai/*",status="2xx"} 1.0' in first.body
    assert b'wws_requests_total{error_type="",route="/api/ai/*",status="2xx"} 2.0' in second.body


async def test_health_is_the_gateway_s() -> None:
    world = World()
    assert (await world.ask("/healthz")).body == b'{"status":"ok"}'
    assert (await world.ask("/readyz")).status == 200
    world.gateway.ready = False
    draining = await world.ask("/readyz")
    assert (draining.status, draining.body) == (503, b'{"status":"draining","degraded":[]}')
    assert (await world.ask("/healthz")).status == 200  # alive, and about to end


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/none"])
async def test_nothing_can_be_changed_here(method: str, path: str) -> None:
    response = await World().ask(path, method)
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/dashboard", "/metrics/", "/metricsx", "/v1/models", "/admin"])
async def test_what_is_not_there(path: str) -> None:
    response = await World().ask(path)
    assert response.status == 404
    assert b"/metrics" in bytes(response.body)  # type: ignore[arg-type]  # it is no stream


async def test_head_is_taken_too() -> None:
    assert (await World().ask("/metrics", "HEAD")).status == 200


async def test_the_status_is_json_that_nobody_keeps() -> None:
    response = await World().ask("/status")
    assert (response.status, response.body) == (200, b'{"name":"shop","workers":[]}')
    assert response.headers["cache-control"] == "no-store"


async def test_what_cannot_be_gathered_is_503_and_health_goes_on() -> None:
    world = World()
    world.gathered.failing = True
    response = await world.ask("/metrics")
    assert (response.status, response.body) == (503, b"the other process is gone\n")
    assert (await world.ask("/healthz")).status == 200


@pytest.mark.parametrize(
    ("authority", "status"),
    [("localhost:8788", 200), ("127.0.0.1:8788", 200), ("[::1]:8788", 200), ("wws.localhost", 200), ("evil.example:8788", 421),
     ("127.0.0.1.evil.example", 421), ("localhost.evil.example:8788", 421), ("10.0.0.1:8788", 421)],
)  # fmt: skip
async def test_a_listener_on_loopback_answers_to_its_own_names_only(authority: str, status: int) -> None:
    world = World()
    admin = Admin(world.gateway, world.gathered, world.api, world.dashboard, private=True)
    for path in ("/metrics", "/api/versions"):
        answer = await admin(Request("GET", path, authority=authority))
        assert (answer.status == 421) == (status == 421)


async def test_a_listener_elsewhere_answers_to_any_name() -> None:
    world = World()
    assert (await world.admin(Request("GET", "/metrics", authority="gateway.internal"))).status == 200
