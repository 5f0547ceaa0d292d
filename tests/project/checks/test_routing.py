from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.files import READY, examined, problems, project, warnings
from wws.core.policy import DEFAULT_ROUTES, Route

AI = '[providers.synthetic]\napi_key = "${SYNTHETIC_API_KEY}"\n'


def routes(*tables: str) -> str:
    """READY and these routes, the first at line 5."""
    return READY + "".join([f"[[routes]]\n{table}\n" for table in tables])


def test_no_routes_mean_the_default_ones() -> None:
    assert project(READY).policy.routes == DEFAULT_ROUTES


def test_given_routes_replace_them() -> None:
    found = project(routes('path = "/x"\nto = "ai"', 'path = "/y"\nto = "origin"')).policy.routes
    assert found == (Route("/x", "ai", auth="required"), Route("/y", "origin", auth="optional"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ('path = "/a"', 'path = "/a"', 'found "/a", where route 1 of the file takes every request already'),
        ('path = "/a/:x/*"', 'path = "/a/:y/*"', 'found "/a/:y/*", where route 1 of the file takes every request already'),
        (
            'path = "/a"\nmethods = ["GET", "PUT"]',
            'path = "/a"\nmethods = ["POST", "PUT"]',
            'found "/a", where route 1 of the file takes PUT already',
        ),
        ('path = "/a"', 'path = "/a"\nmethods = ["PUT"]', None),
        ('path = "/a"\nmethods = ["GET"]', 'path = "/a"\nmethods = ["PUT"]', None),
        ('path = "/a"', 'path = "/a/"', None),
        ('path = "/a/:x"', 'path = "/a/*"', None),
    ],
)
def test_two_routes_for_the_same_requests(first: str, second: str, message: str | None) -> None:
    found = problems(routes(first + '\nto = "origin"', second + '\nto = "origin"'))
    assert [one.split(": ", 2)[2] for one in found] == ([] if message is None else [message])


@pytest.mark.parametrize(
    ("origins", "to", "message"),
    [
        ("", "origin", 'found "origin", but there is no [origin]: write its `url`'),
        ('[origins.a]\nurl = "http://a"\n', "origin", None),
        ('[origins.a]\nurl = "http://a"\n', "a", None),
        (
            '[origins.a]\nurl = "http://a"\n[origins.b]\nurl = "http://b"\n',
            "origin",
            'found "origin", but there are several: name one of a, b',
        ),
        (
            '[origins.billing]\nurl = "http://a"\n',
            "biling",
            'found "biling"; did you mean "billing"?; allowed: ai, origin, static, billing, function:NAME',
        ),
        (
            '[origin]\nurl = "http://a"\n',
            "orign",
            'found "orign"; did you mean "origin"?; allowed: ai, origin, static, function:NAME',
        ),
    ],
)
def test_routes_name_origins_there_are(origins: str, to: str, message: str | None) -> None:
    found = problems(AI + origins + f'[[routes]]\npath = "/x"\nto = "{to}"\n')
    assert [one.split(": ", 2)[2] for one in found] == ([] if message is None else [message])


def test_routes_name_functions_there_are(tmp_path: Path) -> None:
    (tmp_path / "functions" / "api").mkdir(parents=True)
    (tmp_path / "functions" / "api" / "hello.py").write_text("async def fetch(request, env, ctx): ...\n")
    path = tmp_path / "wws.toml"
    good = project(routes('path = "/x"\nto = "function:api/hello"'), path=path).policy.routes
    assert (good[0].to, good[0].target) == ("function", "api/hello")
    assert problems(routes('path = "/x"\nto = "function:api/helo"', 'path = "/y"\nto = "function:zzz"'), path=path) == [
        '7: routes[0].to: found "function:api/helo", but there is no functions/api/helo.py; did you mean "api/hello"?',
        '10: routes[1].to: found "function:zzz", but there is no functions/zzz.py',
    ]


def test_a_function_without_a_folder_of_functions(tmp_path: Path) -> None:
    [found] = problems(routes('path = "/x"\nto = "function:hello"'), path=tmp_path / "wws.toml")
    assert found.endswith("but there is no functions/hello.py")


def test_two_origins_of_one_name() -> None:
    [found] = problems(READY + '[origins.default]\nurl = "http://b"')
    assert found == "5: origins.default: [origin] is the one named default already"


def test_no_origin_at_all_is_a_warning() -> None:
    assert "None: origin: no origin is configured: only the AI routes are served" in warnings(AI)
    assert project(AI).policy.routes == DEFAULT_ROUTES


def test_a_broken_origin_is_told_once() -> None:
    found = examined(AI + '[origin]\nurl = "nonsense"')
    assert [problem.key for problem in found.problems] == ["origin.url"]
    assert "origin" not in [warning.key for warning in found.warnings]


def test_routes_allow_aliases_there_are() -> None:
    assert problems(routes('path = "/x"\nto = "ai"\nmodels = ["code",\n "raesoning"]')) == [
        '9: routes[0].models[1]: found "raesoning", which is no alias of [models]; did you mean "reasoning"?; '
        "allowed: code, reasoning"
    ]


def test_keys_without_effect_are_refused() -> None:
    found = problems(
        routes(
            'path = "/a"\nto = "origin"\nmodels = ["code"]',
            'path = "/b"\nto = "origin"\nauth = "none"\nscopes = ["x"]\nfresh_auth = "60s"',
        )
    )
    assert found == [
        '8: routes[0].models: only a route to "ai" has models',
        '13: routes[1].scopes: nobody is asked who they are where auth = "none"',
        '14: routes[1].fresh_auth: nobody is asked who they are where auth = "none"',
    ]


def test_open_ai_routes_are_a_warning() -> None:
    found = [one for one in warnings(routes('path = "/a"\nto = "ai"\nauth = "none"')) if "routes" in one]
    assert found == ["8: routes[0].auth: anyone may spend what the providers cost: only the limits of the address hold"]


@pytest.mark.parametrize(
    ("limit", "cache"),
    [('limit = "nonsense"', None), ('cache = "sometimes"', "allowed"), ('cache = { per = "team" }', "per")],
)
def test_a_bad_value_of_a_route_does_not_hide_its_line(limit: str, cache: str | None) -> None:
    [found] = problems(routes(f'path = "/a"\nto = "origin"\n{limit}'))
    assert found.startswith("8: routes[0].")
    assert cache is None or cache in found


def test_bindings_are_named_once() -> None:
    text = READY + '[[kv_namespaces]]\nbinding = "A"\n[[kv_namespaces]]\nbinding = "A"\n[vars]\nA = 1\n'
    assert problems(text) == [
        '8: kv_namespaces[1].binding: "A" is a binding already, in [kv_namespaces]',
        '10: vars.A: "A" is a binding already, in [kv_namespaces]',
    ]


@pytest.mark.parametrize("name", ["ai", "fetch", "wws"])
def test_names_of_the_gateway_are_not_given_away(name: str) -> None:
    [found] = problems(READY + f"[vars]\n{name} = 1")
    assert found == f'6: vars.{name}: "{name}" is the gateway\'s own name in env; allowed: another'


@pytest.mark.parametrize("name", ["a-b", "1a", "_a", "a b"])
def test_variables_have_python_names(name: str) -> None:
    [found] = problems(READY + f'[vars]\n"{name}" = 1')
    assert f'"{name}" is not a Python name' in found
