"""Loading through Redis: from Redis where it has a value, else from the engine, under a lease that lets the value in.

Leases are those of Facebook's memcache: a read that finds nothing leaves its token there, other processes wait, and
the loaded value is stored by compare-and-set only if the token is still there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from bluestar_store.cache.in_flight import Bypassed, InFlightWrites, Loaded
from bluestar_store.cache.limits import CacheLimits, Counters
from bluestar_store.cache.read_through import EngineLoader
from bluestar_store.cache.redis.stored import (
    MAX_PAYLOAD_BYTES,
    AbandonedLease,
    Fill,
    OtherLease,
    Outdated,
    OwnLease,
    StoredValue,
    Tombstone,
    Unreadable,
    Unsigned,
    new_token,
)
from bluestar_store.cache.redis.tier import LookResult, RedisTier
from bluestar_store.protocols import CacheKey, FailedRead, Source

Claim: TypeAlias = StoredValue | Outdated | Unsigned | AbandonedLease | OwnLease
"""What a loaded value may replace."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.002, 0.02
"""Between two looks at what another process is loading."""


class RedisLoader(EngineLoader):
    """A miss costs two round trips: one that finds nothing and leaves our lease, one that stores the value.

    Without Redis, values are kept for a short time, because writes by other processes are not seen.
    """

    def __init__(
        self,
        limits: CacheLimits,
        counters: Counters,
        clock: Callable[[], float],
        remote: RedisTier,
        writes: InFlightWrites,
    ) -> None:
        super().__init__(limits, counters, clock, limits.degraded_ttl_seconds)
        self._remote, self._writes = remote, writes

    def load(
        self, cache_keys: Sequence[CacheKey], source: Source, *, max_age_seconds: float = math.inf
    ) -> dict[CacheKey, Loaded]:
        """See EngineLoader. All keys that Redis lacks are loaded in one call."""
        if source.sensitive:
            return self._bypassing(cache_keys, source)
        asked = self._clock()
        found = self._remote.get_or_lease(cache_keys)
        if found is None:
            return dict(super().load(cache_keys, source, max_age_seconds=max_age_seconds))
        done, claims, busy = self._sorted(found, asked, source, max_age_seconds)
        if claims:
            done |= self._claimed(claims, source)
        if busy:
            needed = {key: busy[key] for key in _needed(cache_keys, done, source) if key in busy}
            done |= self._awaited(needed, source)
        return done

    def _bypassing(self, cache_keys: Sequence[CacheKey], source: Source) -> dict[CacheKey, Loaded]:
        """Sensitive values: from the source alone, without reading or writing Redis.

        No tombstone is seen, so only announcements tell of writers: see `_listening_seconds`. One may be on its way
        here, so values are known to be of one moment only within one load.
        """
        before, most_seconds = self._clock(), self._listening_seconds()
        values, moment = self._values(cache_keys, source), Bypassed()
        return {key: self._loaded(value, moment, before, most_seconds, source) for key, value in values.items()}

    def _sorted(
        self, found: LookResult, asked: float, source: Source, max_age_seconds: float
    ) -> tuple[dict[CacheKey, Loaded], dict[CacheKey, Claim | None], dict[CacheKey, OtherLease]]:
        """The values; the keys to load, with what they may replace; and the keys that other processes are loading.

        Keys that are not needed, because a value before them settles the question, are in none of them.
        """
        done: dict[CacheKey, Loaded] = {}
        claims: dict[CacheKey, Claim | None] = {}
        busy: dict[CacheKey, OtherLease] = {}
        settled = False
        replies, lease, now = found
        state_of = self._remote.state
        max_age_seconds = min(max_age_seconds, self._limits.ttl_seconds)
        for cache_key, (content, left) in replies.items():
            if settled and content is not None and content != lease:
                continue  # a key on which we got the lease is loaded all the same, once for all processes
            state = state_of(cache_key, content, left, lease, now)
            if self._writes.cover(cache_key):  # Redis may have lost the writer's tombstone
                if isinstance(state, OwnLease):
                    self._give_back({cache_key: state})
                claims[cache_key] = None
                continue
            match state:
                case StoredValue() if state.age_ms < max_age_seconds * 1000:
                    loaded = self._decoded(cache_key, state, self._remote.moment(cache_key, lease), asked, source)
                    if loaded is None:
                        claims[cache_key] = state
                    else:
                        done[cache_key] = loaded
                        settled = settled or source.settles(loaded.value)
                case StoredValue() | Outdated() | AbandonedLease() | OwnLease():
                    claims[cache_key] = state
                case Unsigned():
                    self._counters.add("unsigned")
                    claims[cache_key] = state
                case OtherLease() if max_age_seconds > 0:
                    busy[cache_key] = state
                case OtherLease():  # it may have read too early for us: its value must not come in after ours
                    claims[cache_key] = self._remote.take_over(cache_key, state)
                case Unreadable():
                    self._counters.add("undecodable")
                    self._remote.publisher.discard([cache_key])
                    claims[cache_key] = None
                case Tombstone():
                    claims[cache_key] = None
        self._counters.add("hits_redis", len(done))
        return done, claims, busy

    def _decoded(
        self, cache_key: CacheKey, value: StoredValue, moment: object, asked: float, source: Source
    ) -> Loaded | None:
        """The value, which is kept here no longer than in Redis, nor than a loaded one; None if it does not decode."""
        try:
            decoded = source.decode(cache_key, value.payload)
            left_seconds = min(value.remaining_ms / 1000, self._limits.ttl_seconds - value.age_ms / 1000)
            return self._loaded(decoded, moment, asked, left_seconds, source)
        except Exception:  # whatever makes the decoder fail: it must not fail a read
            self._counters.add("undecodable")
            return None

    def _claimed(self, claims: Mapping[CacheKey, Claim | None], source: Source) -> dict[CacheKey, Loaded]:
        """Load keys and store each where its claim still stands. A value that Redis refuses is kept nowhere."""
        before = self._clock()
        try:
            values = self._values(list(claims), source)
        except BaseException:
            self._give_back(claims)
            raise
        good = {
            cache_key: value
            for cache_key, value in values.items()
            if not isinstance(value, FailedRead) and not self._writes.cover(cache_key)
        }
        self._give_back({cache_key: claim for cache_key, claim in claims.items() if cache_key not in good})
        fills = {
            cache_key: self._fill(cache_key, claim, good[cache_key], source)
            for cache_key, claim in claims.items()
            if claim is not None and cache_key in good
        }
        taken = self._remote.fill(fills)
        self._counters.add("fills_refused", sum(not lifetime_ms for lifetime_ms in taken.values()))
        self._publish_changed(claims, fills, taken)
        moment = object()
        return {
            cache_key: self._loaded(values[cache_key], moment, before, taken[cache_key] / 1000, source)
            if taken.get(cache_key)
            else Loaded(values[cache_key], moment)
            for cache_key in values
        }

    def _fill(self, cache_key: CacheKey, claim: Claim, value: Any, source: Source) -> Fill:
        token = claim.token if isinstance(claim, OwnLease) else new_token()
        longest, listening = self._limits.lifetime_seconds(value), self._listening_seconds()
        lifetime_ms = max(int(min(longest, max(listening, self._remote.witnessed_seconds())) * 1000), 1)
        sure_ms = max(int(min(longest, listening) * 1000), 1)
        payload = source.encode(cache_key, value)
        if payload is not None and len(payload) > MAX_PAYLOAD_BYTES:
            payload = None
        return Fill(claim.claim, token, payload, lifetime_ms, sure_ms)

    def _listening_seconds(self) -> float:
        """How long a value that is loaded now may live, even if Redis has lost tombstones.

        This process knows every writer that began within the time that it has listened without a gap, or within which
        Redis has lost nothing. A writer that began before may have lost its tombstone, and may die after its commit
        without announcing it. Its commit takes longer than that time, and the value lives no longer than that time.
        """
        return max(self._limits.degraded_ttl_seconds, self._remote.listening_seconds())

    def _publish_changed(
        self, claims: Mapping[CacheKey, Claim | None], fills: Mapping[CacheKey, Fill], taken: Mapping[CacheKey, int]
    ) -> None:
        """Tell other processes of values that were changed by other programs, without the library."""
        changed = [
            cache_key
            for cache_key, fill in fills.items()
            if taken.get(cache_key)
            and isinstance(claim := claims[cache_key], StoredValue)
            and claim.payload != fill.payload
        ]
        if changed:
            self._remote.publisher.publish_changed(changed)

    def _give_back(self, claims: Mapping[CacheKey, Claim | None]) -> None:
        """Remove our leases: no value will come of them, and others should not wait."""
        leases = {cache_key: claim for cache_key, claim in claims.items() if isinstance(claim, OwnLease)}
        self._remote.fill({key: Fill(claim.claim, claim.token, None, 1, 1) for key, claim in leases.items()})

    def _awaited(self, busy: Mapping[CacheKey, OtherLease], source: Source) -> dict[CacheKey, Loaded]:
        """The values that other processes are loading, once they have.

        When a lease is not filled in time, one of the waiting processes takes it over; the others wait for that one,
        twice as long. A process that has waited for both loads without storing the value.
        """
        done: dict[CacheKey, Loaded] = {}
        self._counters.add("lease_waits", len(busy))
        waits = {cache_key: LeaseWait(state, self._limits.lease_wait_seconds) for cache_key, state in busy.items()}
        pause = FIRST_PAUSE_SECONDS
        while waits:
            time.sleep(pause)  # another process is loading: nothing in this one could wake us
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            asked = self._clock()
            found = self._remote.get_or_lease(list(waits))
            if found is None:
                return {**done, **super().load(list(waits), source, max_age_seconds=0)}
            ready, claims, still = self._sorted(found, asked, source, math.inf)
            over = [waits[cache_key].is_over(state) for cache_key, state in still.items()]
            for cache_key, state in still.items() if all(over) else ():  # one process takes over all of them
                if waits[cache_key].is_second:
                    claims[cache_key] = None
                elif (lease := self._remote.take_over(cache_key, state)) is not None:
                    claims[cache_key] = lease
                else:
                    break  # another process was faster, and takes over the rest as well
            done |= ready | (self._claimed(claims, source) if claims else {})
            waits = {cache_key: waits[cache_key] for cache_key in still if cache_key not in claims}
        return done


class LeaseWait:
    """How long this process waits for another one's load of a key."""

    def __init__(self, lease: OtherLease, seconds: float) -> None:
        self._token, self._seconds, self._since = lease.token, seconds, time.monotonic()
        self.is_second = False

    def is_over(self, lease: OtherLease) -> bool:
        """Whether the holder has had time enough; a second holder is given twice as much."""
        now = time.monotonic()
        if lease.token != self._token and not self.is_second:
            self._token, self._since, self.is_second = lease.token, now, True
            self._seconds *= 2
        return now - self._since > self._seconds


def _needed(cache_keys: Sequence[CacheKey], done: Mapping[CacheKey, Loaded], source: Source) -> Iterator[CacheKey]:
    """The keys up to the first whose value settles the question."""
    for cache_key in cache_keys:
        if cache_key in done and source.settles(done[cache_key].value):
            return
        yield cache_key
