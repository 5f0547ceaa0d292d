from __future__ import annotations

import pytest

from tests.soak.verdict import MIB, checks, slope
from tests.soak.watch import Gauges, Sample, parse_gauges

IDLE = "when all is quiet"
QUIET = Sample(0.0, 60 * MIB, 80 * MIB, 40, Gauges(8.0, 0.0, 2.0, 0.0))


def run(growth: float = 0.0, tasks: float = 0.0) -> list[Sample]:
    """A hundred samples: a warm-up that grows, and then so many bytes and tasks a second, with peaks."""
    samples = []
    for at in range(100):
        memory = 100 * MIB - max(0, 25 - at) * MIB + growth * max(0, at - 25) + (5 * MIB if at % 10 == 0 else 0)
        samples.append(Sample(float(at), int(memory), 0, 60, Gauges(50.0 + tasks * at, 10.0, 5.0, 3.0)))
    return samples


def bad(samples: list[Sample], after: Sample = QUIET, wrong: int = 0) -> list[str]:
    return [check.what for check in checks(samples, 25.0, (QUIET, after), wrong) if not check.good]


def test_flat_is_good_whatever_the_warm_up_and_single_peaks_were() -> None:
    assert bad(run()) == []
    assert bad(run(growth=0.04 * MIB)) == []


@pytest.mark.parametrize(
    ("samples", "after", "wrong", "what"),
    [
        (run(growth=0.2 * MIB), QUIET, 0, "memory under load, by its trend"),
        (run(tasks=1.0), QUIET, 0, "tasks under load"),
        (run(), QUIET._replace(gauges=QUIET.gauges._replace(tasks=9.0)), 0, f"tasks {IDLE}"),
        (run(), QUIET._replace(descriptors=45), 0, f"descriptors that are no connections, {IDLE}"),
        (run(), QUIET._replace(descriptors=41, gauges=Gauges(8.0, 1.0, 2.0, 0.0)), 0, f"connections of clients, {IDLE}"),
        (run(), QUIET._replace(gauges=QUIET.gauges._replace(active=1.0)), 0, f"requests in progress, {IDLE}"),
        (run(), QUIET, 1, "answers that should have been others"),
    ],
)  # fmt: skip
def test_each_leak_is_found(samples: list[Sample], after: Sample, wrong: int, what: str) -> None:
    assert bad(samples, after, wrong) == [what]


def test_a_long_run_is_judged_strictly() -> None:
    samples = [sample._replace(at=sample.at * 4) for sample in run(growth=0.1 * MIB)]
    [memory, *_] = checks(samples, 100.0, (QUIET, QUIET), 0)
    assert not memory.good


def test_slopes() -> None:
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == 2.0
    assert slope([(0.0, 1.0), (1.0, 1.0), (2.0, 99.0), (3.0, 1.0), (4.0, 1.0)]) == 0.0
    assert slope([(0.0, 1.0)]) == 0.0


def test_gauges_of_all_workers_are_added_up() -> None:
    text = '# HELP wws_tasks x\nwws_tasks 3.0\nwws_requests_active{worker="1"} 1\nwws_requests_active{worker="2"} 2\nother 9\n'
    assert parse_gauges(text) == Gauges(3.0, 0.0, 0.0, 3.0)
