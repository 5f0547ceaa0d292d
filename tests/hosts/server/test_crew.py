"""When a worker is started again. The rest is shown with real processes, in tests/workers."""

from __future__ import annotations

import signal

from wws.hosts.server.crew import LONGEST_DELAY, how, restart_delay


def test_the_first_restart_is_at_once_and_later_ones_wait_longer() -> None:
    delays = [restart_delay(failures) for failures in range(1, 12)]
    assert delays[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert delays == sorted(delays) and delays[-1] == LONGEST_DELAY


def test_how_a_worker_ended() -> None:
    assert how(3) == "ended with status 3"
    assert how(-signal.SIGSEGV) == "was ended by SIGSEGV"
