"""A request meets the project's own code: middlewares from the outermost to the innermost, then the handler of its method.

    async def fetch(request, env, ctx)          any method that has no handler of its own
    async def get(request, env, ctx)            GET, and HEAD where there is no `head`; likewise post, put, patch, delete
    async def fetch(request, env, ctx)          in _middleware.py: answers itself, or `return await ctx.next()`

What the code raises is written to the log with its traceback, under the request's id; the caller sees the id and no more.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from types import CoroutineType
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from wws.bindings import Context, Env
from wws.core.policy import Route
from wws.errors import FunctionError, FunctionStopped, Refusal, UpstreamError, UpstreamTimeout
from wws.functions.bounded import __file__ as limited_by
from wws.functions.bounded import bounded, goes_on_regardless, within
from wws.functions.scope import Scope
from wws.http import Request, Response

__all__ = ["Code", "Function", "Handler", "answered", "invoke", "run"]

Handler = Callable[[Any, Any, Any], Awaitable[Any]]

_FRAMES: Final = (__file__, limited_by)
TIMEOUTS: Final = "wws_function_timeouts"
SUSPENDED: Final = 10.0
"""Seconds for which a function that had to be stopped is left alone; doubled each time in a row, up to `MAX_SUSPENDED`."""
MAX_SUSPENDED: Final = 300.0
_log = logging.getLogger("wws.functions")
_MAX_PASSES: Final = 8
"""Times a request may have passed a gateway of ours before: functions that fetch from functions, and no longer way than that."""
_NO_REST: Final = ("", 0)


class Code(NamedTuple):
    """What a function's file defines, once it is loaded. `methods` are by name in capitals, `around` outermost first, `events`
    the handlers that no request reaches (`scheduled`, `queue`)."""

    fetch: Handler | None
    methods: Mapping[str, Handler]
    around: tuple[Handler, ...] = ()
    events: Mapping[str, Handler] = {}

    def allowed(self) -> tuple[str, ...]:
        """The methods of a function that has no `fetch`, for `Allow`."""
        extra = ("HEAD",) if "GET" in self.methods else ()
        return tuple(dict.fromkeys([*sorted(self.methods), *extra, "OPTIONS"]))


class Function:
    """One of the project's functions. `code` is None until it is first needed; `load` brings it, and raises `FunctionError`.

    `rest` is the name of what `*` at the end of its own pattern stands for and the number of segments before it. `plain`: its
    code never looks for the task it runs in. `settings` is its `config` as the project read it. `suspended` is the monotonic
    time until which it is left alone, `stops` how often in a row it had to be stopped.
    """

    __slots__ = ("code", "load", "name", "plain", "rest", "settings", "suspended", "stops")

    def __init__(
        self,
        name: str,
        load: Callable[[], Awaitable[Code]],
        *,
        code: Code | None = None,
        rest: tuple[str, int] | None = None,
        plain: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.load = load
        self.code = code
        self.rest = rest or _NO_REST
        self.plain = plain
        self.settings: Mapping[str, Any] = settings or {}
        self.suspended = 0.0
        self.stops = 0

    def __repr__(self) -> str:
        return f"<Function {self.name}>"


def invoke(request: Request, env: Env, ctx: Context, route: Route) -> Coroutine[Any, Any, Response]:
    """Answers `request` with the function that `route` names. Raises `Refusal`, at once or when it is awaited."""
    name = route.target or ""
    function: Function | None = env.wws.functions.get(name)
    if function is None:
        raise Refusal("not_found", "This route names a function, and no function of that name is loaded here.")
    if b"via" in request.headers.first and sum([v.count(b" wws") for n, v in request.headers.raw if n == b"via"]) >= _MAX_PASSES:
        raise Refusal("loop_detected")
    params = request.params
    rest, depth = function.rest
    if rest and route.path.endswith("/*") and route.path.count("/") == depth + 1:
        request.params = params = {**params, rest: unquote(request.path.split("/", depth + 1)[-1])}
    request.limit = env.wws.policy.function_limit
    ctx.params = params
    return run(function, request, Scope(env, request, ctx), ctx, route.timeout)


async def run(function: Function, request: Request, scope: Scope, ctx: Context, seconds: float | None = None) -> Response:
    """Runs `function` for at most `seconds`; None: as its `config` or `[functions] timeout` says.

    Raises `Refusal`: that of the code itself, `function_failed`, `function_broken`, `function_timeout`, `function_suspended`,
    `fetch_failed` or `fetch_timeout`.
    """
    if function.suspended and (left := function.suspended - scope.wws.clock.monotonic()) > 0:
        raise Refusal("function_suspended", retry_after=left)
    code = function.code
    if seconds is None:
        seconds = function.settings.get("timeout") or scope.wws.policy.function_timeout
    try:
        if code is None:
            code = await function.load()
        work: Any = (
            _layer(function, code, 0, request, scope, ctx) if code.around else _handler(code, request)(request, scope, ctx)
        )
        if type(work) is not CoroutineType:
            work = _awaited(work)
        # asyncio.timeout, TaskGroup and much that is built on them ask for the task they run in: only code that does not is
        # begun without one.
        limited = within if function.plain else bounded
        response: Any = await limited(work, seconds, partial(goes_on_regardless, function.name, scope, ctx))
        if function.suspended:
            function.suspended, function.stops = 0.0, 0
        return response if type(response) is Response else _checked(response, function, "handler")
    except Refusal as refusal:
        if refusal.code == "function_timeout":
            _log.error("request %s: function %s: %s", ctx.request_id, function.name, refusal.message)
            scope.wws.measure(TIMEOUTS, (function.name,), 1)
        raise
    except FunctionStopped:  # the watchdog has told where
        _suspend(function, scope)
        raise Refusal("function_timeout", "The function held up the gateway and was stopped.") from None
    except UpstreamError as error:  # of env.fetch or env.ai, and not caught: what the function depends on is down, not itself
        _log.error("request %s: function %s, line %s: %s", ctx.request_id, function.name, _line(error), error)
        timed_out = isinstance(error, UpstreamTimeout) and error.phase != "connect"
        raise Refusal("fetch_timeout" if timed_out else "fetch_failed") from None
    except FunctionError as error:
        _log.error("request %s: %s", ctx.request_id, error)
        raise Refusal("function_broken") from None
    except Exception as error:
        _log.error("request %s: function %s failed", ctx.request_id, function.name, exc_info=_own(error))
        raise Refusal("function_failed") from None


def _suspend(function: Function, scope: Scope) -> None:
    """Leaves alone a function that had to be stopped: asked again and again it would hold up everyone for ever."""
    function.stops += 1
    seconds = min(SUSPENDED * 2.0 ** (function.stops - 1), MAX_SUSPENDED)
    function.suspended = scope.wws.clock.monotonic() + seconds
    _log.error("function %s is left alone for %g s: it answers 503", function.name, seconds)
    scope.wws.measure(TIMEOUTS, (function.name,), 1)


async def answered(function: Function, code: Code, request: Request, scope: Any, ctx: Context) -> Response:
    """What the code answers, without limits and with whatever it raises: for a process that runs nothing else."""
    if code.around:
        return await _layer(function, code, 0, request, scope, ctx)
    return await _handle(function, code, request, scope, ctx)


async def _layer(function: Function, code: Code, at: int, request: Request, scope: Scope, ctx: Context) -> Response:
    """The middleware at `at` of `code.around`, or the handler behind the last one."""
    if at == len(code.around):
        return await _handle(function, code, request, scope, ctx)

    async def further(other: Request | None = None) -> Response:
        return await _layer(function, code, at + 1, request if other is None else other, scope, ctx.layer())

    ctx.next = further
    return _checked(await code.around[at](request, scope, ctx), function, "_middleware")


async def _handle(function: Function, code: Code, request: Request, scope: Scope, ctx: Context) -> Response:
    return _checked(await _handler(code, request)(request, scope, ctx), function, "handler")


def _handler(code: Code, request: Request) -> Handler:
    """The handler of the request's method. Raises `Refusal` where there is none."""
    methods = code.methods
    handler = code.fetch
    if methods:
        method = request.method
        handler = methods.get(method) or (methods.get("GET") if method == "HEAD" else None) or handler
        if handler is None:
            if method == "OPTIONS":
                return partial(_allows, code.allowed())
            raise Refusal("method_not_allowed", allow=code.allowed())
    if handler is None:
        raise Refusal("not_found", "This function answers no requests.")
    return handler


async def _allows(methods: tuple[str, ...], request: Request, scope: Scope, ctx: Context) -> Response:
    return Response(None, 204, {"allow": ", ".join(methods)})


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _checked(value: Any, function: Function, what: str) -> Response:
    """What a handler returned, as a response. Raises `TypeError`."""
    if isinstance(value, Response):
        return value
    convert = getattr(value, "as_response", None)  # what env.fetch gives is passed on as it is
    if convert is not None:
        response: Response = convert()
        return response
    hint = "" if value is not None else ": is a `return` missing?"
    raise TypeError(f"the {what} of {function.name} returned {type(value).__name__}, not a Response{hint}")


def _line(error: Exception) -> str:
    """The line of the function's own code that an error came through."""
    trace = _own(error).__traceback__
    return "?" if trace is None else str(trace.tb_lineno)


def _own(error: Exception) -> Exception:
    """The error without the frames of this file, and of what limits the run: what is left begins in the function's own."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _FRAMES:
        trace = trace.tb_next
    return error.with_traceback(trace)
