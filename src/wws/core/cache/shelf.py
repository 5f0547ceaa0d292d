"""The stored answers of one process, bounded by bytes and by entries, with what the hot path needs worked out beforehand.

Eviction is FIFO with a second chance (the CLOCK algorithm): an answer that was used since the hand last passed it goes
once more to the back. Requests for ever new query strings therefore push out each other, not what is asked for again, and a hit
only sets a flag.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from wws.core.cache import vary
from wws.core.cache.directives import Directives
from wws.core.cache.entry import Entry
from wws.core.cache.freshness import Terms
from wws.core.cache.key import PUBLIC

__all__ = ["EARLY_SHARE", "Held", "Key", "Shelf", "Uri"]

Pair = tuple[bytes, bytes]
Uri = tuple[str, str, str, str, str]
"""Site (the address the route leads to), scheme and lower-case authority that were asked for, raw path, raw query."""
Key = tuple[str, str, str, str, str, str]
"""The parts of a `Uri`, and the partition."""

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_ENTRIES: Final = 65_536
PARTITION_ENTRIES: Final = 256
"""Of one user or tenant; their bytes are bounded to an eighth of the shelf."""
MAX_VARIANTS: Final = 16
"""Answers kept for one key under different values of its Vary fields: languages times encodings of an ordinary site."""
_OVERHEAD: Final = 1024
"""Bytes that an entry costs beside its texts: the objects around them."""
_PAIR_OVERHEAD: Final = 150

EARLY_SHARE: Final = 64
"""Of the hits in the last tenth of a lifetime, one in this many starts a refresh: what is asked for often is renewed before it
goes stale, at a moment that its own traffic decides, so that not all keys of one instant are refreshed in one instant."""
_EARLY_FROM: Final = 10.0  # seconds of lifetime below which there is no early refresh
_NEVER: Final = float("inf")


class Held:
    """A stored answer in memory.

    `born` is the monotonic time at which its age was 0. `fresh`, `stale` and `error` are the ages of its terms. `shareable` tells
    that it may answer requests with credentials. `used` is the second chance, `far` whether a shared store has it too,
    `retry_at` the monotonic time before which no refresh is tried.
    """

    __slots__ = (
        "born",
        "early",
        "entry",
        "error",
        "far",
        "fresh",
        "late_hits",
        "pairs",
        "retry_at",
        "shareable",
        "size",
        "stale",
        "terms",
        "used",
    )

    def __init__(self, entry: Entry, directives: Directives, terms: Terms, born: float) -> None:
        self.entry = entry
        self.terms = terms
        self.fresh, self.stale, self.error = terms.fresh, terms.stale, terms.error
        self.born = born
        self.early = terms.fresh * 0.9 if terms.fresh >= _EARLY_FROM else _NEVER
        self.late_hits = 0
        self.pairs = list(entry.headers)
        self.shareable = directives.shareable
        self.size = _OVERHEAD + len(entry.body) + sum([len(name) + len(value) + _PAIR_OVERHEAD for name, value in entry.headers])
        self.used = False
        self.far = False
        self.retry_at = 0.0

    def due_early(self) -> bool:
        """Counts a hit in the last tenth of the lifetime; True for one in `EARLY_SHARE`."""
        self.late_hits += 1
        return self.late_hits % EARLY_SHARE == 0


class Slot:
    """The answers of one key: one, or one for each selection of its Vary fields, the newest first."""

    __slots__ = ("fields", "size", "variants")

    def __init__(self, held: Held) -> None:
        self.variants = [held]
        self.fields = tuple([name for name, _ in held.entry.vary])
        self.size = held.size

    def match(self, raw: list[Pair], first: Mapping[bytes, bytes]) -> Held | None:
        """The newest answer that a request with these fields selects."""
        for held in self.variants:
            if vary.matches(held.entry.vary, raw, first):
                return held
        return None

    def add(self, held: Held) -> None:
        """Puts `held` in the place of the one for the same selection, else before the others."""
        selection = held.entry.vary
        self.variants = [held, *[other for other in self.variants if other.entry.vary != selection][: MAX_VARIANTS - 1]]
        self.fields = tuple([name for name, _ in selection])
        self.size = sum([other.size for other in self.variants])


class _Partition:
    """The keys of one user or tenant, oldest first, and their bytes."""

    __slots__ = ("keys", "size")

    def __init__(self) -> None:
        self.keys: OrderedDict[Key, None] = OrderedDict()
        self.size = 0


class Shelf:
    """See the module. `slots` is read directly by the hot path: `slots.get(key)`."""

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_entries: int = MAX_ENTRIES, partition_entries: int = PARTITION_ENTRIES
    ) -> None:
        self.slots: OrderedDict[Key, Slot] = OrderedDict()
        self.size = 0
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._partition_entries = partition_entries
        self._partition_bytes = max_bytes // 8
        self._partitions: dict[str, _Partition] = {}
        self._private: dict[Uri, set[Key]] = {}

    def put(self, key: Key, held: Held) -> None:
        """Stores an answer, and drops others where a bound is passed. One too large for the shelf is not stored."""
        if held.size > self._max_bytes // 8:
            return
        slot = self.slots.get(key)
        if slot is None:
            slot = self.slots[key] = Slot(held)
            self._account(key, slot.size)
        else:
            before = slot.size
            slot.add(held)
            self._account(key, slot.size - before)
        if key[5] != PUBLIC:
            self._bound_partition(key)
        while self.size > self._max_bytes or len(self.slots) > self._max_entries:
            self._evict_one()

    def drop(self, key: Key, held: Held) -> None:
        """Removes one answer, if it is still there."""
        slot = self.slots.get(key)
        if slot is None or held not in slot.variants:
            return
        if len(slot.variants) == 1:
            self._remove(key)
            return
        slot.variants = [other for other in slot.variants if other is not held]
        slot.size -= held.size
        self._account(key, -held.size)

    def forget(self, uri: Uri) -> None:
        """Removes every answer of a URI, in every partition."""
        public = (*uri, PUBLIC)
        if public in self.slots:
            self._remove(public)
        for key in self._private.get(uri, set()).copy():
            self._remove(key)

    def _account(self, key: Key, size: int) -> None:
        self.size += size
        if key[5] == PUBLIC:
            return
        partition = self._partitions.get(key[5])
        if partition is None:
            partition = self._partitions[key[5]] = _Partition()
        partition.size += size
        partition.keys[key] = None
        partition.keys.move_to_end(key)
        self._private.setdefault(key[:5], set()).add(key)

    def _bound_partition(self, key: Key) -> None:
        partition = self._partitions[key[5]]
        while len(partition.keys) > self._partition_entries or partition.size > self._partition_bytes:
            self._remove(next(iter(partition.keys)))

    def _evict_one(self) -> None:
        key, slot = self.slots.popitem(last=False)
        used = [held for held in slot.variants if held.used]
        self.slots[key] = slot
        if used:
            for held in used:
                held.used = False
        else:
            self._remove(key)

    def _remove(self, key: Key) -> None:
        slot = self.slots.pop(key)
        self.size -= slot.size
        if key[5] == PUBLIC:
            return
        partition = self._partitions[key[5]]
        partition.size -= slot.size
        del partition.keys[key]
        if not partition.keys:
            del self._partitions[key[5]]
        keys = self._private[key[:5]]
        keys.discard(key)
        if not keys:
            del self._private[key[:5]]
