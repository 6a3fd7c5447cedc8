"""Loading what this process does not have: from the engine alone, or from Redis and then the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bluestar_store.cache.bars import Bars
from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.local import Aside, Loaded
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.stored import (
    MAX_PAYLOAD_BYTES,
    Abandoned,
    Blocked,
    Busy,
    Fill,
    Garbage,
    Held,
    Leased,
    Outdated,
    Unsigned,
    new_token,
)
from bluestar_store.errors import BlueStarError
from bluestar_store.protocols import CacheKey, Source

if TYPE_CHECKING:  # it loads redis, which a process without a second tier does not need
    from bluestar_store.cache.remote import Looked, Remote

Claim: TypeAlias = Held | Outdated | Unsigned | Abandoned | Leased
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.002, 0.02
"""Between two looks at what another process is loading."""


class Loader(Protocol):
    """What a first tier loads from."""

    def load(self, units: Sequence[CacheKey], source: Source, *, max_age_seconds: float) -> Mapping[CacheKey, Loaded]:
        """Every unit's value, but for those after one that settles the question.

        A value that has been kept elsewhere for longer than `max_age_seconds` does not count.
        """


class EngineLoader:
    """There is no second tier."""

    def __init__(self, limits: CacheLimits, counters: Counters, clock: Callable[[], float]) -> None:
        self._limits, self._counters, self._clock = limits, counters, clock

    most_seconds = math.inf
    """How long what is loaded may live."""

    def load(self, units: Sequence[CacheKey], source: Source, *, max_age_seconds: float) -> Mapping[CacheKey, Loaded]:
        """From the source. What is loaded is as old as the moment before."""
        before = self._clock()
        values, moment = self._values(units, source), object()
        return {unit: self._loaded(value, moment, before, self.most_seconds, source) for unit, value in values.items()}

    def _loaded(self, value: Any, moment: object, since: float, most_seconds: float, source: Source) -> Loaded:
        if not self._limits.keeps or isinstance(value, BlueStarError):
            return Loaded(value, moment)
        until = since + min(self._limits.lifetime_seconds(value), most_seconds)
        return Loaded(value, moment, until, source.weigh(value))

    def _values(self, units: Sequence[CacheKey], source: Source) -> Mapping[CacheKey, Any]:
        self._counters.add("misses", len(units))
        self._counters.add("loads")
        values = source.load(units)
        self._counters.add("absences", sum(not value for value in values.values()))
        return values


class DeafLoader(EngineLoader):
    """Nobody can say whether another process is writing, so what is loaded is kept for a short time only."""

    @property
    def most_seconds(self) -> float:  # type: ignore[override]  # what never changes elsewhere
        """As long as changes of others may go unheard."""
        return self._limits.degraded_ttl_seconds


class RemoteLoader(DeafLoader):
    """Redis first. A miss costs two round trips: one that finds nothing and leaves our lease, one that fills."""

    def __init__(
        self, limits: CacheLimits, counters: Counters, clock: Callable[[], float], remote: Remote, bars: Bars
    ) -> None:
        super().__init__(limits, counters, clock)
        self._remote, self._bars = remote, bars

    def load(
        self, units: Sequence[CacheKey], source: Source, *, max_age_seconds: float = math.inf
    ) -> dict[CacheKey, Loaded]:
        """From Redis, else from the source, all that is missing at once; the answer is left in Redis if it may be."""
        if source.sensitive:
            return self._aside(units, source)
        asked = self._clock()
        found = self._remote.look(units)
        if found is None:
            return dict(super().load(units, source, max_age_seconds=max_age_seconds))
        done, claims, busy = self._sorted(found, asked, source, max_age_seconds)
        if claims:
            done |= self._claimed(claims, source)
        if busy:
            done |= self._awaited({unit: busy[unit] for unit in _needed(units, done, source) if unit in busy}, source)
        return done

    def _aside(self, units: Sequence[CacheKey], source: Source) -> dict[CacheKey, Loaded]:
        """From the source alone: neither what Redis has of them nor what it says about them is asked.

        So no tombstone is seen, and messages alone tell who is writing: see `_heard_seconds`. What they tell may be
        under way: only values of one load are known to be of one moment.
        """
        before, most_seconds = self._clock(), self._heard_seconds()
        values, moment = self._values(units, source), Aside()
        return {unit: self._loaded(value, moment, before, most_seconds, source) for unit, value in values.items()}

    def _sorted(
        self, found: Looked, asked: float, source: Source, max_age_seconds: float
    ) -> tuple[dict[CacheKey, Loaded], dict[CacheKey, Claim | None], dict[CacheKey, Busy]]:
        """What is there, what is to be loaded (with what it may replace), and what others are loading.

        Units that are not needed, because what is there settles the question, are in none of them.
        """
        done: dict[CacheKey, Loaded] = {}
        claims: dict[CacheKey, Claim | None] = {}
        busy: dict[CacheKey, Busy] = {}
        settled = False
        replies, lease, now = found
        state_of = self._remote.state
        max_age_seconds = min(max_age_seconds, self._limits.ttl_seconds)
        for unit, (content, left) in replies.items():
            if settled and content is not None and content != lease:
                continue  # while what nobody has yet is loaded all the same, once for all
            state = state_of(unit, content, left, lease, now)
            if self._bars.stand(unit):  # though its tombstone may be lost
                if isinstance(state, Leased):
                    self._give_back({unit: state})
                claims[unit] = None
                continue
            match state:
                case Held() if state.age_ms < max_age_seconds * 1000:
                    loaded = self._decoded(unit, state, self._remote.moment(unit, lease), asked, source)
                    if loaded is None:
                        claims[unit] = state
                    else:
                        done[unit] = loaded
                        settled = settled or source.settles(loaded.value)
                case Held() | Outdated() | Abandoned() | Leased():
                    claims[unit] = state
                case Unsigned():
                    self._counters.add("unsigned")
                    claims[unit] = state
                case Busy() if max_age_seconds > 0:
                    busy[unit] = state
                case Busy():  # they may have read too early for us: what they load must not come in after ours
                    claims[unit] = self._remote.take_over(unit, state)
                case Garbage():
                    self._counters.add("undecodable")
                    self._remote.discard([unit])
                    claims[unit] = None
                case Blocked():
                    claims[unit] = None
        self._counters.add("hits_redis", len(done))
        return done, claims, busy

    def _decoded(self, unit: CacheKey, held: Held, moment: object, asked: float, source: Source) -> Loaded | None:
        """The value, kept here no longer than there, and than one that we load; None for what does not decode."""
        try:
            value = source.decode(unit, held.payload)
            left_seconds = min(held.remaining_ms / 1000, self._limits.ttl_seconds - held.age_ms / 1000)
            return self._loaded(value, moment, asked, left_seconds, source)
        except Exception:  # whatever garbage makes a decoder stumble: it must not fail a read
            self._counters.add("undecodable")
            return None

    def _claimed(self, claims: Mapping[CacheKey, Claim | None], source: Source) -> dict[CacheKey, Loaded]:
        """Load units and put each where its claim still stands. What is refused there is kept nowhere."""
        before = self._clock()
        try:
            values = self._values(list(claims), source)
        except BaseException:
            self._give_back(claims)
            raise
        good = {
            unit: value
            for unit, value in values.items()
            if not isinstance(value, BlueStarError) and not self._bars.stand(unit)
        }
        self._give_back({unit: claim for unit, claim in claims.items() if unit not in good})
        fills = {
            unit: self._fill(unit, claim, good[unit], source)
            for unit, claim in claims.items()
            if claim is not None and unit in good
        }
        taken = self._remote.fill(fills)
        self._counters.add("fills_refused", sum(not lifetime_ms for lifetime_ms in taken.values()))
        self._announce(claims, fills, taken)
        moment = object()
        return {
            unit: self._loaded(values[unit], moment, before, taken[unit] / 1000, source)
            if taken.get(unit)
            else Loaded(values[unit], moment)
            for unit in values
        }

    def _fill(self, unit: CacheKey, claim: Claim, value: Any, source: Source) -> Fill:
        token = claim.token if isinstance(claim, Leased) else new_token()
        longest, heard = self._limits.lifetime_seconds(value), self._heard_seconds()
        lifetime_ms = max(int(min(longest, max(heard, self._remote.witnessed_seconds())) * 1000), 1)
        sure_ms = max(int(min(longest, heard) * 1000), 1)
        payload = source.encode(unit, value)
        if payload is not None and len(payload) > MAX_PAYLOAD_BYTES:
            payload = None
        return Fill(claim.claim, token, payload, lifetime_ms, sure_ms)

    def _heard_seconds(self) -> float:
        """How long a value may live that is loaded now, whatever Redis has lost.

        A writer that barred it within the time that Redis has surely kept all it was told, or that this process has
        heard all that was said, is known. One that is at it for longer than that may have lost its tombstone, and may
        die with its commit done and nobody told: so the value lives no longer than such a commit has taken.
        """
        return max(self._limits.degraded_ttl_seconds, self._remote.heard_seconds())

    def _announce(
        self, claims: Mapping[CacheKey, Claim | None], fills: Mapping[CacheKey, Fill], taken: Mapping[CacheKey, int]
    ) -> None:
        """Tell other processes of what turned out to have changed behind the library's back."""
        changed = [
            unit
            for unit, fill in fills.items()
            if taken.get(unit) and isinstance(claim := claims[unit], Held) and claim.payload != fill.payload
        ]
        if changed:
            self._remote.announce_changed(changed)

    def _give_back(self, claims: Mapping[CacheKey, Claim | None]) -> None:
        """Let go of leases: nothing will come of them, and others should not wait."""
        leases = {unit: claim for unit, claim in claims.items() if isinstance(claim, Leased)}
        self._remote.fill({unit: Fill(claim.claim, claim.token, None, 1, 1) for unit, claim in leases.items()})

    def _awaited(self, busy: Mapping[CacheKey, Busy], source: Source) -> dict[CacheKey, Loaded]:
        """What other processes are loading, as soon as they have.

        When one is not heard of for a while, one of those who wait takes over; the others wait for that one, twice as
        long. Whoever has waited for both loads without keeping what comes of it.
        """
        done: dict[CacheKey, Loaded] = {}
        self._counters.add("lease_waits", len(busy))
        waits = {unit: Wait(state, self._limits.lease_wait_seconds) for unit, state in busy.items()}
        pause = FIRST_PAUSE_SECONDS
        while waits:
            time.sleep(pause)  # another process is loading: nothing in this one could wake us
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            asked = self._clock()
            found = self._remote.look(list(waits))
            if found is None:
                return {**done, **super().load(list(waits), source, max_age_seconds=0)}
            ready, claims, still = self._sorted(found, asked, source, math.inf)
            over = [waits[unit].is_over(state) for unit, state in still.items()]
            for unit, state in still.items() if all(over) else ():  # whoever takes over one of them takes over all
                if waits[unit].is_second:
                    claims[unit] = None
                elif (lease := self._remote.take_over(unit, state)) is not None:
                    claims[unit] = lease
                else:
                    break  # somebody else was faster, and takes over the rest as well
            done |= ready | (self._claimed(claims, source) if claims else {})
            waits = {unit: waits[unit] for unit in still if unit not in claims}
        return done


def _needed(units: Sequence[CacheKey], done: Mapping[CacheKey, Loaded], source: Source) -> Iterator[CacheKey]:
    """The units up to the first whose value settles the question."""
    for unit in units:
        if unit in done and source.settles(done[unit].value):
            return
        yield unit


class Wait:
    """The patience of one process for another one's load."""

    def __init__(self, busy: Busy, seconds: float) -> None:
        self._token, self._seconds, self._since = busy.token, seconds, time.monotonic()
        self.is_second = False

    def is_over(self, busy: Busy) -> bool:
        """Whether whoever is loading has had time enough; another one than before is given more."""
        now = time.monotonic()
        if busy.token != self._token and not self.is_second:
            self._token, self._since, self.is_second = busy.token, now, True
            self._seconds *= 2
        return now - self._since > self._seconds
