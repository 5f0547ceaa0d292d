"""The samples as a picture: SVG written by hand, three panels under each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10

from tests.soak.watch import Sample

__all__ = ["plot"]

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP, BOTTOM = 760, 120, 34, 58, 16, 30, 34
_INK, _FAINT, _GRID = "#24292f", "#6e7781", "#d8dee4"
_PANELS: tuple[tuple[str, str, Callable[[Sample], float]], ...] = (
    ("memory of all processes, MiB", "#0969da", lambda sample: sample.memory / 2**20),
    ("open descriptors", "#1a7f37", lambda sample: float(sample.descriptors)),
    ("tasks", "#9a6700", lambda sample: sample.gauges.tasks),
)


def plot(samples: Sequence[Sample], warm: float, reloads: Sequence[float], title: str) -> str:
    """The picture. The warm-up is shaded, each reload is a tick at the bottom of every panel."""
    end = max(samples[-1].at, 1.0)
    height = TOP + len(_PANELS) * (PANEL + GAP) + BOTTOM - GAP
    x = _scale(0.0, end, LEFT, WIDTH - RIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="11">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for index, (name, colour, read) in enumerate(_PANELS):
        top = TOP + index * (PANEL + GAP)
        parts += _panel(top, name, colour, [(sample.at, read(sample)) for sample in samples], x, warm, reloads)
    bottom = height - BOTTOM + 16
    for at in _steps(0.0, end):
        parts.append(f'<text x="{x(at):.1f}" y="{bottom}" fill="{_FAINT}" text-anchor="middle">{at:g} s</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    top: int,
    name: str,
    colour: str,
    points: Sequence[tuple[float, float]],
    x: Callable[[float], float],
    warm: float,
    reloads: Sequence[float],
) -> list[str]:
    most = max(value for _, value in points) or 1.0
    steps = _steps(0.0, most * 1.1)
    y = _scale(0.0, max(steps[-1], most * 1.1), top + PANEL, top)
    shade = f'<rect x="{LEFT}" y="{top}" width="{x(warm) - LEFT:.1f}" height="{PANEL}" fill="#f6f8fa"/>'
    parts = [shade, f'<text x="{LEFT}" y="{top - 7}" fill="{_INK}" font-weight="600">{name}</text>']
    for step in steps:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(step):.1f}" y2="{y(step):.1f}" stroke="{_GRID}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(step) + 4:.1f}" fill="{_FAINT}" text-anchor="end">{step:g}</text>')
    ticks = f'y1="{top + PANEL - 5}" y2="{top + PANEL}" stroke="{_FAINT}"'
    parts += [f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" {ticks}/>' for at in reloads]
    line = " ".join([f"{x(at):.1f},{y(value):.1f}" for at, value in points])
    parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>')
    return parts


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _steps(low: float, high: float) -> list[float]:
    """Round numbers from `low` to at most `high`, three to six of them."""
    raw = (high - low) / 4
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    return [step * index for index in range(ceil(low / step), floor(high / step) + 1)]
