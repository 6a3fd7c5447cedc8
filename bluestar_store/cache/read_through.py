"""Reads through the first tier: what it lacks is loaded once, by one of the threads that want it, and stored."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bluestar_store.cache.in_flight import Bypassed, InFlightLoad, Loaded
from bluestar_store.cache.limits import AHEAD, CacheLimits, Counters
from bluestar_store.cache.local import CachedValue, LocalCache
from bluestar_store.errors import BlueStarError, may_pass
from bluestar_store.protocols import CacheKey, FailedRead, Source, Stale
from bluestar_store.threads import Threads

ROUNDS = 3
"""Attempts to read values of one moment, before a load that does not share what other threads load."""
MAX_REFRESHES = 1000
"""Refreshes that wait for their turn. One more is not made: the value expires, and the next read loads it."""


class EngineLoader:
    """Loads from the engine alone; what it loads may be kept for `most_seconds`."""

    def __init__(
        self, limits: CacheLimits, counters: Counters, clock: Callable[[], float], most_seconds: float = math.inf
    ) -> None:
        self._limits, self._counters, self._clock, self._most_seconds = limits, counters, clock, most_seconds

    def load(
        self, cache_keys: Sequence[CacheKey], source: Source, *, max_age_seconds: float
    ) -> Mapping[CacheKey, Loaded]:
        """The value of every key; those after one that settles the question may be left out.

        A value that was stored elsewhere more than `max_age_seconds` ago is not taken. A value's lifetime counts from
        before it was read.
        """
        before = self._clock()
        values, moment = self._values(cache_keys, source), object()
        return {key: self._loaded(value, moment, before, self._most_seconds, source) for key, value in values.items()}

    def _loaded(self, value: Any, moment: object, since: float, most_seconds: float, source: Source) -> Loaded:
        if not self._limits.keeps or isinstance(value, FailedRead):
            return Loaded(value, moment)
        until = since + min(self._limits.lifetime_seconds(value), most_seconds)
        return Loaded(value, moment, until, source.weigh(value))

    def _values(self, cache_keys: Sequence[CacheKey], source: Source) -> Mapping[CacheKey, Any]:
        self._counters.add("misses", len(cache_keys))
        self._counters.add("loads")
        values = source.load(cache_keys)
        self._counters.add("absences", sum(not value for value in values.values()))
        return values


class ReadThrough:
    """Safe for threads. `loader` is where misses go; it changes when the second tier is found."""

    def __init__(
        self,
        local: LocalCache,
        limits: CacheLimits,
        counters: Counters,
        clock: Callable[[], float],
        loader: EngineLoader,
    ) -> None:
        self._local, self._limits, self._counters, self._clock = local, limits, counters, clock
        self.loader = loader
        self.is_degraded = False
        """Whether other processes' invalidations are not received: then values are kept for a short time only."""
        self.forked()

    def forked(self) -> None:
        """Start anew in a forked child, without the parent's thread."""
        self._refresher = Refresher()

    def close(self) -> None:
        """End the background refreshes."""
        self._refresher.close()

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """See Cache."""
        if not fresh:
            for _ in range(ROUNDS):
                found = self._find(cache_keys, source)
                if self._is_of_one_moment(cache_keys, found, source):
                    return _values(found)
        return _values(self._lead(self._local.begin_anew(cache_keys), source, 0))

    def _find(self, cache_keys: Sequence[CacheKey], source: Source) -> Mapping[CacheKey, Loaded]:
        """Values from the first tier, from other threads' loads, or from one load for all the rest."""
        here, leading, following = self._local.begin(cache_keys, source.settles)
        if not here and not following:
            return self._lead(leading, source, math.inf)
        found = {cache_key: self._kept(cache_key, entry, source) for cache_key, entry in here.items()}
        if leading:
            found |= self._lead(leading, source, math.inf)
        for cache_key, load in following.items():
            one = self._follow(cache_key, load, source)
            if one is not None:
                found[cache_key] = one
                if not isinstance(one.value, Stale) and source.settles(one.value):
                    break  # the leaders of the keys after it need not load them either
        return found

    def _is_of_one_moment(
        self, cache_keys: Sequence[CacheKey], found: Mapping[CacheKey, Loaded], source: Source
    ) -> bool:
        """Whether the values that are needed were current at the same time. Errors and stale values always pass.

        Values of different loads pass when all of them are still in the first tier, now that all have been read.
        """
        if len(cache_keys) == 1:
            return True
        needed = dict[CacheKey, Loaded]()
        for cache_key in cache_keys:
            one = found.get(cache_key)
            if one is None:
                continue
            if isinstance(one.value, Stale | FailedRead):
                return True
            needed[cache_key] = one
            if source.settles(one.value):
                break
        if len({one.moment for one in needed.values()}) == 1:
            return True
        return not any(isinstance(one.moment, Bypassed) for one in needed.values()) and all(
            (entry := self._local.look(cache_key)) is not None and entry.moment is one.moment
            for cache_key, one in needed.items()
        )

    def _kept(self, cache_key: CacheKey, entry: CachedValue, source: Source) -> Loaded:
        """The value of an entry, which is refreshed in the background when it expires soon."""
        if entry.due <= self._clock():
            self._counters.add("hits_local")  # `peek` has counted the others
            if self._local.claim_refresh(cache_key, entry):
                life = entry.expires - entry.stored
                self._refresher.submit(lambda: self._refresh(cache_key, source, life * AHEAD / 2))
        return Loaded(entry.value, entry.moment)

    def _refresh(self, cache_key: CacheKey, source: Source, max_age_seconds: float) -> None:
        """Load a value that is still valid, unless another process just did."""
        load = self._local.begin_refresh(cache_key)
        if load is not None:
            self._counters.add("refreshes")
            self._lead({cache_key: load}, source, max_age_seconds)

    def _lead(
        self, leading: Mapping[CacheKey, InFlightLoad], source: Source, max_age_seconds: float
    ) -> Mapping[CacheKey, Loaded]:
        """Load the keys, store the values, and give them to the threads that wait."""
        try:
            loaded = self.loader.load(list(leading), source, max_age_seconds=max_age_seconds)
        except BaseException as error:
            if isinstance(error, BlueStarError) and may_pass(error):
                serve = max_age_seconds > 0
                return {key: self._failed(key, load, error, serve=serve) for key, load in leading.items()}
            for cache_key, load in leading.items():
                self._local.abandon(cache_key, load)
                load.fail(error)
            raise
        if loaded:
            self._local.rejoin(loaded)
        self._local.finish(leading, loaded, self._limits.degraded_ttl_seconds if self.is_degraded else math.inf)
        return loaded

    def _failed(self, cache_key: CacheKey, load: InFlightLoad, error: BlueStarError, *, serve: bool) -> Loaded:
        """The result when the engine fails: a stale value, if one may be served, or the error."""
        failed = Loaded(FailedRead(error), error)
        self._local.finish_unchanged(cache_key, load, failed)  # waiting threads look for a stale value themselves
        return self._served(cache_key, failed, error) if serve else failed

    def _served(self, cache_key: CacheKey, failed: Loaded, error: BlueStarError) -> Loaded:
        entry, now = self._local.look(cache_key), self._clock()
        if entry is None or not entry.expires <= now < entry.expires + self._limits.stale_if_error_seconds:
            return failed
        self._counters.add("stale_served")
        return failed.replaced_by(Stale(entry.value, error))

    def _follow(self, cache_key: CacheKey, load: InFlightLoad, source: Source) -> Loaded | None:
        """The value of another thread's load; when its leader is interrupted or hangs, a waiting thread takes over."""
        self._counters.add("waits")
        while (loaded := load.wait(self._limits.load_seconds)) is None:
            load, leads = self._local.take_over(cache_key, load)
            if leads:
                return self._lead({cache_key: load}, source, math.inf).get(cache_key)
        if isinstance(loaded.value, FailedRead) and may_pass(loaded.value.error):
            return self._served(cache_key, loaded, loaded.value.error)
        return loaded


class Refresher:
    """Makes refreshes one after the other in one thread; where no thread can be had, in the caller's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = Threads(1, "bluestar-refresh")
        self._waiting = 0
        self._closed = False

    def submit(self, refresh: Callable[[], None]) -> None:
        """Make a refresh soon, unless too many are waiting."""
        with self._lock:
            if self._closed or self._waiting >= MAX_REFRESHES:
                return
            self._waiting += 1
        self._threads.submit(lambda: self._run(refresh))

    def _run(self, refresh: Callable[[], None]) -> None:
        try:
            if not self._closed:
                with suppress(BlueStarError):  # the read that finds the value expired raises it
                    refresh()
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """Drop the waiting refreshes, and end the thread."""
        with self._lock:
            self._closed = True
        self._threads.close()


def _values(found: Mapping[CacheKey, Loaded]) -> dict[CacheKey, Any]:
    values: dict[CacheKey, Any] = {}
    for cache_key, one in found.items():  # a comprehension is a call in Python 3.11
        values[cache_key] = one.value
    return values
