"""The first tier: decoded values in this process, the least recently used ones dropped when room is short.

A value is stored only by the load that brought it, and only while that load is the current one of its cache key. An
invalidation removes the load along with the entry, so a value that was read before it is not stored after it.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cachetools import LRUCache

from bluestar_store.cache.in_flight import Bypassed, InFlightLoad, InFlightWrites, Loaded
from bluestar_store.cache.limits import AHEAD
from bluestar_store.protocols import MISSING, SETTLING_SECONDS, CacheKey, DerivedValues

ENTRY_BYTES = 640
"""Size of an entry without its value: its slots, its key and its places in three dictionaries (measured)."""
MOST_DROPPED = 4096
"""Cache keys whose last invalidation is remembered."""
SECOND_CHANCES = 16
"""Used entries that one eviction passes over."""


class CachedValue:
    """A value and its times, by the cache's clock. From `due` on, reads go to `fetch`, which refreshes it.

    `moment`: see Loaded. An invalidation replaces the entry, even when the next value is equal.
    """

    __slots__ = ("due", "expires", "moment", "stored", "used", "value", "weight")

    def __init__(self, value: Any, moment: object, stored: float, due: float, expires: float, weight: int) -> None:
        self.value, self.moment, self.stored, self.due, self.expires = value, moment, stored, due, expires
        self.weight = weight
        self.used = False


class RecentlyUsed(LRUCache[CacheKey, CachedValue]):
    """An LRU whose hits take no lock: they read `found` and mark the entry, which `popitem` moves (second chance)."""

    def __init__(self, max_bytes: int, found: dict[CacheKey, CachedValue]) -> None:
        super().__init__(max(max_bytes, 1), getsizeof=_weight)
        self.found = found

    def __setitem__(self, cache_key: CacheKey, entry: CachedValue) -> None:
        super().__setitem__(cache_key, entry)
        self.found[cache_key] = entry

    def __delitem__(self, cache_key: CacheKey) -> None:
        self.found.pop(cache_key, None)
        super().__delitem__(cache_key)

    def popitem(self) -> tuple[CacheKey, CachedValue]:
        """Evict the least recently used entry.

        Entries that were used since they were last moved are moved to the end: a bounded number, because the caller
        holds the lock.
        """
        for _ in range(SECOND_CHANCES):
            cache_key, entry = super().popitem()
            if not entry.used:
                return cache_key, entry
            entry.used = False
            self[cache_key] = entry
        return super().popitem()


class LocalCache:
    """Safe for threads. All methods except the peeks hold a lock, for a few dictionary operations.

    `hits` counts those of the peeks; two at the very same moment may count as one.
    """

    def __init__(self, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_entries, self._max_bytes, self._clock = max_entries, max_bytes, clock
        self.hits = self.flushes = 0
        self.writes = InFlightWrites(clock)
        self.trusted_until = math.inf
        """Until when entries may be served without asking Redis: each heartbeat moves it."""
        self._doubted = math.inf
        """The last `trusted_until` that a read found over."""
        self._found: dict[CacheKey, CachedValue] = {}
        self.peek, self.peek_first = self._peeking()
        self.reset()

    def reset(self) -> None:
        """Empty, with a new lock: in a forked child another thread of the parent may have held the old one."""
        self._lock = threading.Lock()
        self._empty()
        self._in_flight: dict[CacheKey, InFlightLoad] = {}
        self._dropped = OrderedDict[CacheKey, float]()
        self.writes.reset()
        self.trusted_until = math.inf

    def _empty(self) -> None:
        self._found.clear()
        self._entries = RecentlyUsed(self._max_bytes, self._found)

    def _peeking(
        self,
    ) -> tuple[Callable[[CacheKey], Any], Callable[[CacheKey, CacheKey, CacheKey, DerivedValues], Any]]:
        """The functions of every hit: closures, so that a hit looks up no attribute that does not change."""
        get, clock = self._found.get, self._clock

        def peek(cache_key: CacheKey) -> Any:
            """The value; MISSING when there is none, it is due, or Redis has to be asked first.

            Takes no lock: dictionaries are safe to read.
            """
            entry = get(cache_key)
            if entry is None or entry.due <= (now := clock()) or self.trusted_until <= now:
                return MISSING
            entry.used = True
            self.hits += 1
            return entry.value

        def peek_first(kind: CacheKey, own: CacheKey, other: CacheKey, derived: DerivedValues) -> Any:
            """See Cache. The absence is looked up again after the other value: its entry shows that both were current.

            An absence that was invalidated and loaded again has another entry.
            """
            entry = get(cache_key := kind + own)
            if entry is None or entry.due <= (now := clock()) or self.trusted_until <= now:
                return MISSING
            if (value := entry.value) is not None:
                entry.used = True
                self.hits += 1
                return value
            second = get(kind + other)
            if second is None or second.due <= now or get(cache_key) is not entry:
                return MISSING
            if second.moment is not entry.moment and second.moment.__class__ is Bypassed:
                return MISSING
            entry.used = second.used = True
            self.hits += 2
            if (value := second.value) is None:
                return None
            kept = derived.get(own)
            return kept[2] if kept is not None and kept[0] is value else derived.derive(own, value)

        return peek, peek_first

    def peek_all(self, cache_keys: Sequence[CacheKey], settles: Callable[[Any], bool]) -> list[Any] | None:
        """See Cache."""
        entries: list[CachedValue] = []
        for cache_key in cache_keys:
            entry = self._found.get(cache_key)
            if entry is None or entry.due <= (now := self._clock()) or self.trusted_until <= now:
                return None
            entry.used = True
            entries.append(entry)
            if settles(entry.value):
                break
        for cache_key, entry in zip(cache_keys, entries[:-1], strict=False):
            if self._found.get(cache_key) is not entry:
                return None
        if any(entry.moment is not entries[-1].moment and type(entry.moment) is Bypassed for entry in entries):
            return None
        self.hits += len(entries)
        return [entry.value for entry in entries]

    def look(self, cache_key: CacheKey) -> CachedValue | None:
        """The entry, even when it is due, expired, or kept for the case of an error only."""
        return self._found.get(cache_key)

    def claim_refresh(self, cache_key: CacheKey, entry: CachedValue) -> bool:
        """Whether the caller has to refresh an entry that is due: True for one caller only."""
        with self._lock:
            if entry.due >= entry.expires or self._found.get(cache_key) is not entry:
                return False
            entry.due = entry.expires
            return True

    def begin(
        self, cache_keys: Iterable[CacheKey], settles: Callable[[Any], bool]
    ) -> tuple[dict[CacheKey, CachedValue], dict[CacheKey, InFlightLoad], dict[CacheKey, InFlightLoad]]:
        """The entries; the loads that the caller leads; and the loads of other threads, which the caller waits for.

        Keys after an entry whose value settles the question are in none of them.
        """
        here: dict[CacheKey, CachedValue] = {}
        leading: dict[CacheKey, InFlightLoad] = {}
        following: dict[CacheKey, InFlightLoad] = {}
        with self._lock:
            now = self._clock()
            if self.trusted_until <= now and self._doubted != self.trusted_until:
                # Of a process that was stopped: loads under way may have read before that. Nobody waits for those.
                self._doubted = self.trusted_until
                self._in_flight.clear()
            for cache_key in cache_keys:
                entry = self._found.get(cache_key)
                if entry is not None and entry.expires > now and self.trusted_until > now:
                    here[cache_key] = entry
                    if settles(entry.value):
                        break
                elif (load := self._in_flight.get(cache_key)) is None:
                    leading[cache_key] = self._in_flight[cache_key] = InFlightLoad()
                elif load is not leading.get(cache_key):
                    following[cache_key] = load.expected()
        return here, leading, following

    def begin_refresh(self, cache_key: CacheKey) -> InFlightLoad | None:
        """A load of an entry that expires soon; None when another thread is loading it already."""
        with self._lock:
            load, leads = self._join(cache_key)
            return load if leads else None

    def begin_anew(self, cache_keys: Iterable[CacheKey]) -> dict[CacheKey, InFlightLoad]:
        """New loads, in place of those under way, which may have read too early."""
        loads = {cache_key: InFlightLoad() for cache_key in cache_keys}
        with self._lock:
            self._in_flight |= loads
        return loads

    def take_over(self, cache_key: CacheKey, load: InFlightLoad) -> tuple[InFlightLoad, bool]:
        """The load that replaces one without a result, and whether the caller leads it.

        The same load for all threads that waited: one of them leads it, the others wait for it.
        """
        with self._lock:
            if load.successor is not None:
                return load.successor, False
            if self._in_flight.get(cache_key) is load:
                del self._in_flight[cache_key]
            successor, leads = self._join(cache_key)
            load.successor = successor.expected()  # the other waiting threads may ask for it later
            return successor, leads

    def _join(self, cache_key: CacheKey) -> tuple[InFlightLoad, bool]:
        load = self._in_flight.get(cache_key)
        if load is not None:
            return load, False
        load = self._in_flight[cache_key] = InFlightLoad()
        return load, True

    def abandon(self, cache_key: CacheKey, load: InFlightLoad) -> None:
        """Remove a load that brings no value: the next thread to ask begins another."""
        with self._lock:
            if self._in_flight.get(cache_key) is load:
                del self._in_flight[cache_key]

    def rejoin(self, loaded: Mapping[CacheKey, Loaded]) -> None:
        """Give values that were loaded past Redis the moment of the entry that is here, if the last value is equal.

        So GLOBAL's value, which many plans inherit, stays consistent with the absence that each plan has cached.
        """
        cache_key, last = list(loaded.items())[-1]
        entry = self._found.get(cache_key)
        if type(last.moment) is Bypassed and entry is not None and type(entry.moment) is Bypassed:
            for one in loaded.values() if entry.value == last.value else ():
                one.moment = entry.moment

    def finish(
        self, loads: Mapping[CacheKey, InFlightLoad], loaded: Mapping[CacheKey, Loaded], most_seconds: float
    ) -> None:
        """Store the values whose load is still the current one of its key, and give all values to waiting threads.

        A value that may not be kept removes an older one. Threads that wait for a key that was left out lead its load.
        """
        with self._lock:
            for cache_key, load in loads.items():
                if self._in_flight.get(cache_key) is load:  # not invalidated since it began
                    del self._in_flight[cache_key]
                    one = loaded.get(cache_key)
                    if one is None:
                        continue
                    if cache_key in self._found:
                        del self._entries[cache_key]
                    if one.until is not None:
                        self._put(cache_key, one, one.until, most_seconds)
        for cache_key, load in loads.items():
            if load.running is None:
                continue
            if cache_key in loaded:
                load.finish(loaded[cache_key])
            else:
                load.release_waiters()

    def finish_unchanged(self, cache_key: CacheKey, load: InFlightLoad, instead: Loaded) -> None:
        """Give waiting threads something else than a loaded value. An entry of the key stays."""
        self.abandon(cache_key, load)
        load.finish(instead)

    def _put(self, cache_key: CacheKey, one: Loaded, until: float, most_seconds: float) -> None:
        now, weight = self._clock(), one.weight + ENTRY_BYTES
        seconds = min(until - now, most_seconds)
        if seconds <= 0 or self.writes.cover(cache_key) or weight > self._max_bytes or self._max_entries < 1:
            return
        expires = now + seconds
        self._entries[cache_key] = CachedValue(one.value, one.moment, now, expires - seconds * AHEAD, expires, weight)
        while len(self._entries) > self._max_entries:
            self._entries.popitem()

    def drop(self, cache_keys: Iterable[CacheKey]) -> None:
        """Remove the entries of the keys, and do not store what loads under way bring for them."""
        with self._lock:
            now = self._clock()
            for cache_key in cache_keys:
                self._dropped[cache_key] = now
                self._dropped.move_to_end(cache_key)
                self._entries.pop(cache_key, None)
                self._in_flight.pop(cache_key, None)
            while len(self._dropped) > MOST_DROPPED:
                self._dropped.popitem(last=False)

    def changed_lately(self, cache_key: CacheKey) -> bool:
        """Whether it was invalidated lately, so that a query may still show the value before; see `Cache`."""
        at = self._dropped.get(cache_key)
        return at is not None and self._clock() - at < SETTLING_SECONDS

    def drop_where(self, matches: Callable[[CacheKey], bool]) -> int:
        """Remove the entries and loads of all matching keys; returns how many entries there were."""
        with self._lock:
            entries = [cache_key for cache_key in self._entries if matches(cache_key)]
            for cache_key in entries:
                del self._entries[cache_key]
            for cache_key in [cache_key for cache_key in self._in_flight if matches(cache_key)]:
                del self._in_flight[cache_key]
            return len(entries)

    def begin_write(
        self, cache_keys: Sequence[CacheKey], writer: bytes, seconds: float, *, announced: bool = False
    ) -> None:
        """Remove the entries of the keys and keep new values out while the write is under way; see InFlightWrites."""
        self.writes.begin(cache_keys, writer, seconds, announced=announced)
        self.drop(cache_keys)

    def flush(self) -> None:
        """Remove all entries, and do not store what loads under way bring."""
        with self._lock:
            self._empty()
            self._in_flight.clear()
            self.flushes += 1

    def turn_off(self) -> None:
        """Store nothing from now on."""
        with self._lock:
            self._max_entries = 0
        self.flush()

    @property
    def entries(self) -> int:
        """How many there are."""
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """About how many bytes they take."""
        return int(self._entries.currsize)


def _weight(entry: CachedValue) -> int:
    return entry.weight
