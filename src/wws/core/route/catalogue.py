"""What the two built-in providers served, for how much, on the day this was written: starting data, not the truth.

Model ids, windows and prices move every month, and an alias of synthetic.new may serve another model tomorrow. The
providers' own `/models` (https://api.synthetic.new/openai/v1/models, https://api.z.ai/api/paas/v4/models) say what holds now.

Sources: models.dev and its repository sst/models.dev; dev.synthetic.new; the change log of aliou/pi-synthetic; docs.z.ai.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from wws.core.policy import Price, ProviderConfig
from wws.core.trail import Usage

__all__ = [
    "CATALOGUE_DATE",
    "EQUIVALENTS",
    "SOURCES",
    "Entry",
    "cost_of",
    "entries",
    "entry",
    "equivalents",
    "nearest",
    "price_of",
]

CATALOGUE_DATE = "2026-11"
SOURCES = ("models.dev", "dev.synthetic.new", "github.com/aliou/pi-synthetic", "docs.z.ai")


class Entry(NamedTuple):
    """One model. Prices are USD per million tokens, windows are tokens; None: not known. `as_of` is when it was seen.

    `serves` is what an alias stood for; `gone` tells that the provider has taken it away since.
    """

    model: str
    price_in: float | None
    price_out: float | None
    price_cached: float | None
    context: int | None
    max_output: int | None
    as_of: str
    serves: str | None = None
    gone: bool = False


K64 = 65_536
_SYNTHETIC = (
    Entry("syn:large:text", 0.60, 1.20, 0.03, 524_288, K64, "2026 autumn", serves="DeepSeek-V4.1-Flash"),
    Entry("syn:large:vision", 3.00, 15.00, 0.45, 524_288, K64, "2026-08", serves="hf:moonshotai/Kimi-K3"),
    Entry("syn:small:text", 0.10, 0.50, 0.02, 196_608, K64, "2026-08", serves="hf:zai-org/GLM-4.7-Flash"),
    Entry("hf:zai-org/GLM-5.3-Flash", 0.15, 0.50, 0.04, 524_288, None, "2026-09"),
    Entry("hf:moonshotai/Kimi-K3", 3.00, 15.00, 0.45, 524_288, K64, "2026-08"),
    Entry("hf:Qwen/Qwen3.8-27B", 0.45, 2.20, 0.09, None, K64, "2026-08"),
    Entry("hf:openai/gpt-oss-120b", 0.10, 0.10, 0.02, 131_072, K64, "2026-08"),
    Entry("hf:zai-org/GLM-4.7-Flash", 0.10, 0.50, 0.02, 196_608, K64, "2026-08"),
    Entry("hf:MiniMaxAI/MiniMax-M3", 0.60, 1.20, 0.60, 524_288, K64, "2026-07"),
    Entry("hf:zai-org/GLM-4.7", 0.45, 2.19, 0.45, 202_752, K64, "2026-07"),
    Entry("hf:nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4", 0.30, 1.00, 0.30, 262_144, K64, "2026-07"),
    Entry("hf:zai-org/GLM-5.2", 1.40, 4.40, None, 524_288, None, "2026-07", gone=True),
    Entry("hf:zai-org/GLM-5.1", 1.00, 3.00, None, 196_608, None, "2026-07"),
    Entry("hf:moonshotai/Kimi-K2.6", 0.95, 4.00, None, 262_144, None, "2026-07"),
    Entry("hf:Qwen/Qwen3.6-27B", 0.45, 3.60, None, None, None, "2026-07"),
    Entry("hf:Qwen/Qwen3.5-397B-A17B", 0.60, 3.60, None, None, None, "2026-07"),
)

K128 = 131_072
_ZAI = (
    Entry("glm-5.3", 1.40, 4.40, 0.26, 1_048_576, K128, "2026-08"),
    Entry("glm-5.3-flash", None, None, None, 1_000_000, K128, "2026-09"),
    Entry("glm-5.2", 1.40, 4.40, 0.26, 1_000_000, K128, "2026-07"),
    Entry("glm-5.1", 1.40, 4.40, 0.26, 200_000, None, "2026-07"),
    Entry("glm-5", 1.00, 3.20, 0.20, 202_752, None, "2026-07"),
    Entry("glm-5-turbo", 1.20, 4.00, 0.24, 200_000, K128, "2026-07"),
    Entry("glm-5v-turbo", 1.20, 4.00, 0.24, 200_000, K128, "2026-07"),
    Entry("glm-4.7", 0.60, 2.20, 0.11, 204_800, K128, "2026-07"),
    Entry("glm-4.6", 0.60, 2.20, 0.11, 204_800, K128, "2026-07"),
    Entry("glm-4.7-flashx", 0.07, 0.40, 0.01, 200_000, K128, "2026-07"),
    Entry("glm-4.7-flash", 0.0, 0.0, 0.0, 200_000, K128, "2026-07"),
    Entry("glm-4.6v", 0.30, 0.90, None, 128_000, 32_768, "2026-07"),
    Entry("glm-4.5", 0.60, 2.20, 0.11, K128, 98_304, "2026-07"),
    Entry("glm-4.5-air", 0.20, 1.10, 0.03, K128, 98_304, "2026-07"),
    Entry("glm-4.5-flash", 0.0, 0.0, 0.0, K128, None, "2026-07"),
    Entry("glm-4.5v", 0.60, 1.80, None, 64_000, 16_384, "2026-07"),
)

_CATALOGUE: dict[str, dict[str, Entry]] = {
    kind: {row.model: row for row in rows} for kind, rows in (("synthetic", _SYNTHETIC), ("zai", _ZAI))
}

EQUIVALENTS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("synthetic", "hf:zai-org/GLM-4.7"), ("zai", "glm-4.7")),
    (("synthetic", "hf:zai-org/GLM-4.7-Flash"), ("zai", "glm-4.7-flash"), ("zai", "glm-4.7-flashx")),
    (("synthetic", "hf:zai-org/GLM-5.1"), ("zai", "glm-5.1")),
    (("synthetic", "hf:zai-org/GLM-5.3-Flash"), ("zai", "glm-5.3-flash")),
)
"""Groups of (kind, model) with the same weights: good pairs of primary and fallback."""


def entries(kind: str) -> tuple[Entry, ...]:
    """Every model of a kind of provider, those taken away too; none for a kind the catalogue does not cover."""
    return tuple(_CATALOGUE.get(kind, {}).values())


def entry(kind: str, model: str) -> Entry | None:
    """What is known of `model` at a provider of `kind`."""
    return _CATALOGUE.get(kind, {}).get(model)


def equivalents(kind: str, model: str) -> tuple[tuple[str, str], ...]:
    """The same weights elsewhere, or under another name, as (kind, model)."""
    here = (kind, model)
    return tuple([other for group in EQUIVALENTS if here in group for other in group if other != here])


def price_of(config: ProviderConfig | None, provider: str, model: str) -> Price | None:
    """What `model` costs at a provider: by its configuration, else by the catalogue of its kind; None where neither knows."""
    if config is not None and model in config.prices:
        return config.prices[model]
    row = entry(provider if config is None else config.kind, model)
    if row is None or row.price_in is None or row.price_out is None:
        return None
    return Price(row.price_in, row.price_out, row.price_cached)


def cost_of(price: Price | None, usage: Usage) -> float:
    """What a call cost in USD; 0 where the price is not known.

    `tokens_cached` are among `tokens_in`, as OpenAI counts them; without a price of their own they cost as much as the others.
    """
    if price is None:
        return 0.0
    cached = min(usage.tokens_cached, usage.tokens_in)
    per_cached = price.tokens_in if price.cached is None else price.cached
    return ((usage.tokens_in - cached) * price.tokens_in + cached * per_cached + usage.tokens_out * price.tokens_out) / 1e6


@lru_cache(maxsize=256)
def nearest(kind: str, model: str) -> tuple[bool, str | None]:
    """Whether a provider of `kind` served `model`, and if not, the name of the most alike that it did serve.

    `(True, None)` for a kind the catalogue does not cover: there is nothing to object to.
    """
    rows = _CATALOGUE.get(kind)
    if rows is None:
        return True, None
    known = rows.get(model)
    if known is not None and not known.gone:
        return True, None
    return False, max([row for row in rows.values() if not row.gone], key=lambda row: _likeness(model, row)).model


_SEPARATORS = str.maketrans("/:-._", "     ")


def _likeness(model: str, row: Entry) -> tuple[float, bool]:
    """How much two names are alike: words they share first, since versions differ by digits; an id before an alias for it."""
    from difflib import SequenceMatcher  # for a person at a prompt; the edge never needs it

    best = 0.0
    wanted = model.lower().translate(_SEPARATORS)
    for name in (row.model, row.serves or row.model):
        has = name.lower().translate(_SEPARATORS)
        ours, theirs = set(wanted.split()), set(has.split())
        shared = len(ours & theirs) / (len(ours | theirs) or 1)
        best = max(best, shared + SequenceMatcher(None, wanted, has, autojunk=False).ratio() / 4)
    return best, row.serves is None
