"""Running a request without the price of a task where it waits for nothing, or for one answer only.

A refusal and an answer from cache wait for nothing. A proxied request waits once, for an `Answer`, and goes on in the very
callback that brought it. A coroutine that waits for anything else becomes an ordinary task at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Protocol

from wws.hosts.server.carry import carry
from wws.http import Response

Done = Callable[[Response | None, BaseException | None], None]


class Source(Protocol):
    """Who is to give an answer."""

    def forsake(self, answer: Answer) -> None:
        """Nobody waits for it any more."""
        ...


class Answer:
    """A response that somebody waits for: what a future is, for a request that is run without a task.

    Its result is given on at once, its error in the next turn of the loop, because an error may come in the midst of another
    request's step. `source`, where there is one, is told when who waits is cancelled.
    """

    __slots__ = ("_done", "_loop", "_run", "_source")

    def __init__(self, loop: asyncio.AbstractEventLoop, source: Source | None = None) -> None:
        self._loop = loop
        self._source = source
        self._run: Run | None = None
        self._done = False

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            response = yield self
        except asyncio.CancelledError:
            if self._source is not None:
                self._source.forsake(self)
            raise
        return response

    def awaited_by(self, run: Run) -> None:
        """`run` is to be told."""
        self._run = run

    def forget(self) -> None:
        """Nobody waits any more."""
        self._run = None
        self._done = True

    def done(self) -> bool:
        """Whether it has come, failed, or is no longer wanted."""
        return self._done

    def set_result(self, response: Response | None) -> None:
        """It has come. None: more of a stream, which lies where the stream keeps it."""
        self._done = True
        run, self._run = self._run, None
        if run is not None:
            run.resume(response)

    def set_exception(self, error: BaseException) -> None:
        """It will not come."""
        self._done = True
        run, self._run = self._run, None
        if run is not None:
            self._loop.call_soon(run.fail, self, error)


class _Here:
    """The loop of the run that is at its step just now. Another thread's loop may take the place: then nobody is taken for one
    that runs without a task, which costs a task and no more."""

    __slots__ = ("loop",)

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None


_HERE: Final = _Here()


def without_task(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether who asks is a step of a `Run` that has no task, and may wait for an `Answer`."""
    return _HERE.loop is loop


class _End:
    """What a `Run` awaits when it has come to its end, and never gets."""

    __slots__ = ()

    def __await__(self) -> Any:
        return self

    def __next__(self) -> _End:
        return self


_END: Final = _End()


class Run:
    """One request on its way. `done` is called once, with its response or with what it raised (`CancelledError`: cancelled)."""

    __slots__ = ("_answer", "_begun", "_coro", "_done", "_error", "_loop", "_response", "_task", "_way")

    def __init__(self, coro: Coroutine[Any, Any, Response], loop: asyncio.AbstractEventLoop, done: Done) -> None:
        self._coro = coro
        self._loop = loop
        self._done = done
        self._answer: Answer | None = None
        self._task: asyncio.Task[Response] | None = None
        self._begun = False  # the task has run at least once
        self._response: Response | None = None
        self._error: BaseException | None = None
        self._way: Coroutine[Any, Any, None] | None = self._followed()

    async def _followed(self) -> None:
        """The coroutine to its end, where it stays: one that returns to `send` does so by an exception, which costs more."""
        try:
            self._response = await self._coro
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
        await _END

    def resume(self, value: Response | None) -> None:
        """Starts (None), or goes on with what was waited for.

        While no task is made there is no current task: `asyncio.timeout` must not be the first thing that is awaited.
        """
        self._answer = None
        if self._way is None:
            return
        _HERE.loop = self._loop
        try:
            yielded = self._way.send(value)
        finally:
            _HERE.loop = None
        self._wait(yielded)

    def fail(self, answer: Answer, error: BaseException) -> None:
        """`answer` will not come, if it is still waited for."""
        if self._answer is answer:
            self._throw(error)

    def _throw(self, error: BaseException) -> None:
        self._answer = None
        if self._way is None:
            return
        _HERE.loop = self._loop
        try:
            yielded = self._way.throw(error)
        finally:
            _HERE.loop = None
        self._wait(yielded)

    def _wait(self, yielded: Any) -> None:
        if isinstance(yielded, Answer):
            self._answer = yielded
            yielded.awaited_by(self)
        elif yielded is _END:
            # It and this hold each other, and would wait for the collector, the answer with them.
            self._way = None
            error, self._error = self._error, None
            self._done(self._response, error)
        else:
            self._begun = False
            self._task = self._loop.create_task(carry(self._coro, yielded, self._begins))
            self._task.add_done_callback(self._ended)

    def _begins(self) -> None:
        self._begun = True

    def _ended(self, task: asyncio.Task[Response]) -> None:
        if task.cancelled():
            if self._begun:
                self._way = None
                self._done(None, asyncio.CancelledError())
            else:  # cancelled in the turn it was made: the coroutine, which runs already, has not heard of it
                self._task = None
                self._throw(asyncio.CancelledError())
            return
        self._way = None
        error = task.exception()
        if error is None:
            self._done(task.result(), None)
        else:
            self._done(None, error)

    def cancel(self) -> None:
        """Nobody wants the response any more: what is waited for is given up at once."""
        if self._task is not None:
            self._task.cancel()
        elif self._answer is not None:
            self._answer.forget()
            self._throw(asyncio.CancelledError())
