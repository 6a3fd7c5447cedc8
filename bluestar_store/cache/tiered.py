"""The cache under every cached read: values in this process, over values in Redis, over the engine.

The order of things keeps it true. A write bars its units in Redis and tells every process, commits, and does both
again. A load takes a lease before it reads, and what it read comes in only where that lease still stands: into Redis by
compare-and-set, into this process by the flight that loaded it. What is refused in one place is kept in none.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bluestar_store.cache.family import FAMILIES
from bluestar_store.cache.flights import Flight
from bluestar_store.cache.limits import AHEAD, CacheLimits
from bluestar_store.cache.loading import DeafLoader, EngineLoader, RemoteLoader
from bluestar_store.cache.local import Aside, Entry, Loaded, Local
from bluestar_store.cache.matching import Fields, matcher
from bluestar_store.cache.refreshing import Refresher
from bluestar_store.cache.stats import CacheStats, Counters
from bluestar_store.cache.stored import new_token
from bluestar_store.clock import SystemClock, continuous
from bluestar_store.errors import (
    BlueStarError,
    ConfigurationError,
    ConflictError,
    InvalidEntityError,
    InvalidKeyError,
    InvalidWriteError,
    ItemTooLargeError,
    ThrottledError,
    UnavailableError,
)
from bluestar_store.forking import remember
from bluestar_store.protocols import SETTLING_SECONDS, CacheKey, Source, Stale
from bluestar_store.sending import before_each_sending

if TYPE_CHECKING:
    from bluestar_store.cache.announcing import Announcer  # these load redis
    from bluestar_store.cache.keeper import Heard, Keeper
    from bluestar_store.cache.remote import Remote
    from bluestar_store.cache.tier import Tier

ROUNDS = 3
"""Looks for what was there at one moment, before a load that passes what others load meanwhile."""
MOST_BARRED_SECONDS = 3600.0
"""For which another process can bar a unit, where it has more patience with DynamoDB than this one."""
NEVER_SENT = InvalidWriteError | ItemTooLargeError | InvalidKeyError | InvalidEntityError | ConfigurationError


class TieredCache:
    """Safe for threads and for fork. No thread runs before the first read that `peek` cannot answer."""

    def __init__(
        self,
        limits: CacheLimits,
        namespace: str,
        fields: Fields,
        counters: Counters,
        *,
        remote: Remote | None = None,
        tier: Tier | None = None,
        clock: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        """`fields` names the fields of each kind's units.

        `remote` is the second tier; `tier` finds out which one it is, where that has to be asked.
        """
        self.limits, self.namespace, self.fields, self.counters, self.clock = limits, namespace, fields, counters, clock
        self.local = Local(limits.max_entries, limits.max_bytes, clock)
        self.peek, self.peek_first, self.peek_all = self.local.peek, self.local.peek_first, self.local.peek_all
        self.remote, self._tier = remote, tier
        self.is_shared = remote is not None or tier is not None
        self._loader: EngineLoader = (DeafLoader if self.is_shared else EngineLoader)(limits, counters, clock)
        self._reset()
        if remote is not None:
            self._use(remote)
        FAMILIES.join(self)
        remember(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._keeper: Keeper | None = None
        self._started = self._closed = self._channel = False
        self._refresher = Refresher()

    def forked(self) -> None:
        """In a forked child: nothing of the parent's is to be used, nor closed."""
        closed = self._closed
        self._reset()
        self._closed = closed
        self.counters.forked()
        self.local.reset()
        if self._tier is not None:
            self._tier.forked()
        if self.remote is not None:
            self.remote.reset()
            self.remote.origin = new_token().decode()  # what it says is news to its parent and the other children
            self._use(self.remote)

    def _use(self, remote: Remote) -> None:
        self.remote, self._loader = (
            remote,
            RemoteLoader(self.limits, self.counters, self.clock, remote, self.local.bars),
        )

    def attach(self) -> Remote:
        """The second tier; asks which one it is when nobody knows yet. Raises BlueStarError."""
        if self.remote is None and self._tier is not None:
            remote = self._tier.find()
            with self._lock:
                if self.remote is None:
                    self._use(remote)
        if self.remote is None:
            raise ConfigurationError("there is no second tier: set BLUESTAR_REDIS_URL")
        return self.remote

    # ------------------------------------------------------------------------------------------------------- reading

    def fetch(self, units: Sequence[CacheKey], source: Source, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """See Cache. One load for all that is missing and that no other thread is loading already."""
        if not self._started:
            self._start()
        if not fresh:
            for _ in range(ROUNDS):
                found = self._find(units, source)
                if self._is_of_one_moment(units, found, source):
                    return _values(found)
        return _values(self._lead(self.local.board_anew(units), source, 0))

    def _find(self, units: Sequence[CacheKey], source: Source) -> Mapping[CacheKey, Loaded]:
        """What is here, loaded by others, or loaded now."""
        here, leading, following = self.local.board(units, source.settles)
        if not here and not following:
            return self._lead(leading, source, math.inf)
        found = {unit: self._kept(unit, entry, source) for unit, entry in here.items()}
        if leading:
            found |= self._lead(leading, source, math.inf)
        for unit, flight in following.items():
            one = self._follow(unit, flight, source)
            if one is not None:
                found[unit] = one
                if not isinstance(one.value, Stale) and source.settles(one.value):
                    break  # whoever leads the units after it need not load them either
        return found

    def _is_of_one_moment(self, units: Sequence[CacheKey], found: Mapping[CacheKey, Loaded], source: Source) -> bool:
        """Whether the values, as far as they are needed, were there together. Errors are taken as they are.

        What does not come from one load has to be the unit's still, now that all of them are here.
        """
        if len(units) == 1:
            return True
        needed = dict[CacheKey, Loaded]()
        for unit in units:
            one = found.get(unit)
            if one is None:
                continue
            if isinstance(one.value, Stale | BlueStarError):
                return True
            needed[unit] = one
            if source.settles(one.value):
                break
        if len({one.moment for one in needed.values()}) == 1:
            return True
        return not any(isinstance(one.moment, Aside) for one in needed.values()) and all(
            (entry := self.local.look(unit)) is not None and entry.moment is one.moment for unit, one in needed.items()
        )

    def _kept(self, unit: CacheKey, entry: Entry, source: Source) -> Loaded:
        """The value of an entry, which is refreshed in the background when it soon expires."""
        if entry.due <= self.clock():
            self.counters.add("hits_local")  # the others `peek` has counted already
            if self.local.take_refresh(unit, entry):
                life = entry.expires - entry.stored
                self._refresher.submit(lambda: self._refresh(unit, source, life * AHEAD / 2))
        return Loaded(entry.value, entry.moment)

    def _refresh(self, unit: CacheKey, source: Source, max_age_seconds: float) -> None:
        """Load what is still good, unless another process just did."""
        flight = self.local.board_refresh(unit)
        if flight is not None:
            self.counters.add("refreshes")
            self._lead({unit: flight}, source, max_age_seconds)

    def _lead(
        self, leading: Mapping[CacheKey, Flight], source: Source, max_age_seconds: float
    ) -> Mapping[CacheKey, Loaded]:
        """Load units, and give the values to those who follow."""
        try:
            loaded = self._loader.load(list(leading), source, max_age_seconds=max_age_seconds)
        except (ThrottledError, UnavailableError) as error:
            serve = max_age_seconds > 0
            return {unit: self._instead(unit, flight, error, serve=serve) for unit, flight in leading.items()}
        except BaseException as error:
            for unit, flight in leading.items():
                self.local.give_up(unit, flight)
                flight.fail(error)
            raise
        if loaded:
            self.local.recognize(loaded)
        deaf = self.is_shared and not self._channel  # to what other processes write
        self.local.land(leading, loaded, self.limits.degraded_ttl_seconds if deaf else math.inf)
        return loaded

    def _instead(self, unit: CacheKey, flight: Flight, error: BlueStarError, *, serve: bool) -> Loaded:
        """What there is when the engine fails: a value that is past its time, if one may be served, or the error."""
        instead = Loaded(error, error)
        self.local.land_instead(unit, flight, instead)  # those who wait look for themselves
        return self._served(unit, instead) if serve else instead

    def _served(self, unit: CacheKey, failed: Loaded) -> Loaded:
        entry, now = self.local.look(unit), self.clock()
        if entry is None or not entry.expires <= now < entry.expires + self.limits.stale_if_error_seconds:
            return failed
        self.counters.add("stale_served")
        return failed.instead(Stale(entry.value, failed.value))

    def _follow(self, unit: CacheKey, flight: Flight, source: Source) -> Loaded | None:
        """What the leader loads; of one that is interrupted or hangs, somebody who waits takes the place."""
        self.counters.add("waits")
        while (loaded := flight.wait(self.limits.flight_seconds)) is None:
            flight, leads = self.local.succeed(unit, flight)
            if leads:
                return self._lead({unit: flight}, source, math.inf).get(unit)
        return self._served(unit, loaded) if isinstance(loaded.value, ThrottledError | UnavailableError) else loaded

    # ------------------------------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self, units: Iterable[CacheKey]) -> Iterator[None]:
        """See Cache. An outcome that is unknown counts as written, for as long as it may still become true."""
        barred, writer = list(dict.fromkeys(units)), new_token()
        announcer = self._announcer()

        def bar() -> tuple[float, float]:
            since = self.clock(), continuous()
            for cache in self.peers():
                cache.local.bar(barred, writer, self.limits.block_seconds)
            if announcer is not None:
                announcer.block(barred, writer, self.limits.block_seconds)
            return since

        since = bar()

        def bar_again() -> None:
            nonlocal since
            passed = max(self.clock() - since[0], continuous() - since[1])  # the second one may know of more
            if passed > self.limits.block_seconds / 2:
                since = bar()

        known = False
        try:
            with before_each_sending(bar_again):
                yield
            known = True
        except BlueStarError as error:
            # An error that came after a try without an answer says nothing of that try: only these are sure.
            known = isinstance(error, ConflictError | NEVER_SENT)
            raise
        finally:
            if not known:
                bar()
            else:
                self._lift(barred, writer)
                if announcer is not None:
                    announcer.release(barred, writer)
            if announcer is not None and announcer.is_open:
                self._start()  # who only writes has nobody yet to tell Redis later
                if self._keeper is None or announcer is not self.remote:
                    announcer.recover()  # nor a thread

    def _lift(self, units: Sequence[CacheKey], writer: bytes) -> None:
        """In all Stores of this process that look at the same data: what is loaded from now on may come in."""
        for cache in self.peers():
            cache.local.drop(units)  # first: what was read before the commit must not come in between
            cache.local.bars.lift(units, writer)

    def _announcer(self) -> Announcer | None:
        """What tells others of a write: it has to know where before it writes, a read need not."""
        if not self.is_shared:
            return None
        try:
            return self.attach()
        except BlueStarError as error:
            self.counters.failed(str(error))
            return self._older  # release 0.1.0 hears that, and so do those who know more than we do

    @property
    def _older(self) -> Announcer | None:
        return None if self._tier is None else self._tier.older

    def _announcers(self) -> list[Announcer]:
        """All that may have something to tell."""
        return [one for one in (self.remote, self._older) if one is not None]

    def peers(self) -> list[TieredCache]:
        """The caches of this process that look at the same data, this one among them."""
        return FAMILIES.of(self.namespace)

    # ------------------------------------------------------------------------------------------------- the background

    def _start(self) -> None:
        """Before the first load: listen to other processes. Waits for the channel no longer than for any answer."""
        if self._started or not self.is_shared:
            return
        from bluestar_store.cache.keeper import Keeper

        with self._lock:
            if self._closed:
                return
            keeper, known = self._keeper, self.remote
            if keeper is None:
                keeper = Keeper(
                    self.attach, self.limits, hear=self._hear, tell=self._tell, trust=self._trust, clock=self.clock
                )
                if not keeper.start():
                    return  # deaf until a thread can be had: what is kept lives shortly
                self._keeper = keeper
        # Where the tier has to be found first, that goes on beside the first read.
        if known is not None and not keeper.wait(self.limits.redis_timeout_seconds):
            known.open("no answer in time")  # nobody waits for it a second time
        self._started = True

    def changed_lately(self, unit: CacheKey) -> bool:
        """See Cache. Of what was written before this process listened it does not know, and so it may have been."""
        if self.is_shared:
            since = None if self.remote is None else self.remote.heard_since
            if since is None or self.clock() - since < SETTLING_SECONDS:
                return True
        return self.local.changed_lately(unit)

    def forget_here(self, matches: Callable[[CacheKey], bool]) -> int:
        """Forget matching units in this process; how many entries there were."""
        return sum(cache.local.drop_where(matches) for cache in self.peers())

    def _hear(self, heard: Heard) -> None:
        message, remote = heard.message, self.remote
        if remote is None or (heard.older and message.told_twice):
            return
        self.counters.add("invalidations_in")
        units, writer = message.units, message.writer
        if not heard.signed:
            self.counters.add("unsigned")
            if writer is not None:  # it can lift no bar that a signed message has put
                writer = b"unsigned " + writer
        if units and (heard.older or message.unwritten):
            remote.doubt(units)  # no tombstone of this write is where we look
        if writer is not None and message.bars_seconds is not None:
            seconds = min(message.bars_seconds, max(self.limits.block_seconds, MOST_BARRED_SECONDS))
            self.local.bar(units, writer, seconds, heard=True)
        else:
            self.local.drop(units)  # see `_lift`
            if writer is not None:
                self.local.bars.lift(units, writer)
        if message.fields is not None:
            matches = matcher(self.fields, message.kind, message.fields)
            self.local.drop_where(matches)
            if heard.older:
                remote.forget_quietly(matches)

    def _tell(self, there: bool) -> None:
        """The channel came or went: what was said in between was not heard."""
        self._channel = there
        if self.remote is not None:
            self.remote.heard_since = self.clock() if there else None
        self.local.flush()
        if not there:
            self.local.trusted_until = math.inf  # what comes in from now on lives shortly instead

    def _trust(self, sent: float) -> None:
        """A heartbeat was heard, and so everything that was said before it."""
        remote = self.remote
        if not self._channel or remote is None:
            return
        self.local.trusted_until = sent + self.limits.trust_seconds
        if remote.heard_since is not None and remote.kept_seconds() >= self.limits.block_seconds:
            # Since before the channel was there: the tombstones of those who were not done then still are.
            self.local.bars.lift_heard(remote.heard_since)

    def close(self) -> None:
        """End the threads and connections; may be called twice. What is read afterwards is loaded."""
        with self._lock:
            self._closed = True
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()
        self._refresher.close()
        self.local.turn_off()
        for announcer in self._announcers():
            if announcer.pending:
                announcer.recover()  # the last chance to tell
            announcer.close()
        FAMILIES.leave(self)

    # -------------------------------------------------------------------------------------------------------- looking

    def stats(self) -> CacheStats:
        """What it did and how it is."""
        counts = self.counters.counts()
        counts["hits_local"] += self.local.hits
        counts["flushes"] = self.local.flushes
        remote = self.remote
        if remote is not None:
            redis = "open" if remote.is_open else "closed"
        else:
            redis = "open" if self._tier is not None and not self._tier.is_denied else "off"
        return CacheStats(
            **counts,
            redis=redis,
            redis_error=self.counters.last_error,
            channel=self._channel,
            pending=sum(len(one.pending) for one in self._announcers()),
            entries=self.local.entries,
            bytes=self.local.bytes,
        )


def _values(found: Mapping[CacheKey, Loaded]) -> dict[CacheKey, Any]:
    values: dict[CacheKey, Any] = {}
    for unit, one in found.items():  # a comprehension is a call in Python 3.11
        values[unit] = one.value
    return values
