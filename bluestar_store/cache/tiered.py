"""The cache under every cached read: values in this process, over values in Redis, over the engine.

The order of things keeps it true. A write bars its units in Redis and tells every process, commits, and does both
again. A load takes a lease before it reads, and what it read comes in only where that lease still stands: into Redis by
compare-and-set, into this process by the flight that loaded it. What is refused in one place is kept in none.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bluestar_store.cache.family import FAMILIES
from bluestar_store.cache.flights import Flight
from bluestar_store.cache.keys import Message
from bluestar_store.cache.limits import AHEAD, CacheLimits
from bluestar_store.cache.loading import EngineLoader, Loader, RemoteLoader
from bluestar_store.cache.local import Entry, Local
from bluestar_store.cache.matching import Fields, matcher
from bluestar_store.cache.refreshing import Refresher
from bluestar_store.cache.stats import CacheStats, Counters
from bluestar_store.cache.stored import new_token
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
from bluestar_store.protocols import MISSING, Source, Stale, Unit

if TYPE_CHECKING:
    from bluestar_store.cache.keeper import Keeper  # these load redis
    from bluestar_store.cache.remote import Remote

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fields` names the fields of each kind's units."""
        self.limits, self.namespace, self.fields, self.counters, self.clock = limits, namespace, fields, counters, clock
        self.local = Local(limits.max_entries, limits.max_bytes, clock)
        self.peek = self.local.peek
        self.remote = remote
        self._loader: Loader = (
            EngineLoader(limits, counters, clock) if remote is None else RemoteLoader(limits, counters, clock, remote)
        )
        self._reset()
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
        if self.remote is not None:
            self.remote.reset()
            self.remote.origin = new_token().decode()  # what it says is news to its parent and the other children

    # ------------------------------------------------------------------------------------------------------- reading

    def fetch(self, units: Sequence[Unit], source: Source, *, fresh: bool) -> Mapping[Unit, Any]:
        """See Cache. One load for all that is missing and that no other thread is loading already."""
        if not self._started:
            self._start()
        here, following = dict[Unit, Entry](), dict[Unit, Flight]()
        if fresh:
            leading = self.local.board_anew(units)
        else:
            here, leading, following = self.local.board(units, source.settles)
        if not here and not following:
            return self._lead(leading, source, 0 if fresh else math.inf)
        answers = {unit: self._kept(unit, entry, source) for unit, entry in here.items()}
        if leading:
            answers |= self._lead(leading, source, 0 if fresh else math.inf)
        for unit, flight in following.items():
            answers[unit] = value = self._follow(unit, flight, source)
            if not isinstance(value, Stale) and source.settles(value):
                break  # whoever leads the units after it need not load them either
        return answers

    def _kept(self, unit: Unit, entry: Entry, source: Source) -> Any:
        """The value of an entry, which is refreshed in the background when it soon expires."""
        if entry.due <= self.clock():
            self.counters.add("hits_local")  # the others `peek` has counted already
            if self.local.take_refresh(unit, entry):
                life = entry.expires - entry.stored
                self._refresher.submit(lambda: self._refresh(unit, source, life * AHEAD / 2))
        return entry.value

    def _refresh(self, unit: Unit, source: Source, max_age_seconds: float) -> None:
        """Load what is still good, unless another process just did."""
        flight = self.local.board_refresh(unit)
        if flight is not None:
            self.counters.add("refreshes")
            self._lead({unit: flight}, source, max_age_seconds)

    def _lead(self, leading: Mapping[Unit, Flight], source: Source, max_age_seconds: float) -> dict[Unit, Any]:
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
        deaf = self.remote is not None and not self._channel  # to what other processes write
        self.local.land(leading, loaded, self.limits.degraded_ttl_seconds if deaf else math.inf)
        values: dict[Unit, Any] = {}
        for unit, one in loaded.items():  # a comprehension is a call in Python 3.11
            values[unit] = one.value
        return values

    def _instead(self, unit: Unit, flight: Flight, error: BlueStarError, *, serve: bool) -> Any:
        """What there is when the engine fails: a value that is past its time, if one may be served, or the error."""
        self.local.land_instead(unit, flight, error)  # those who wait look for themselves
        return self._served(unit, error) if serve else error

    def _served(self, unit: Unit, error: BlueStarError) -> Stale | BlueStarError:
        entry, now = self.local.look(unit), self.clock()
        if entry is None or not entry.expires <= now < entry.expires + self.limits.stale_if_error_seconds:
            return error
        self.counters.add("stale_served")
        return Stale(entry.value, error)

    def _follow(self, unit: Unit, flight: Flight, source: Source) -> Any:
        """What the leader loads; of one that is interrupted or hangs, somebody who waits takes the place."""
        self.counters.add("waits")
        while (value := flight.wait(self.limits.flight_seconds)) is MISSING:
            flight, leads = self.local.succeed(unit, flight)
            if leads:
                return self._lead({unit: flight}, source, math.inf).get(unit, MISSING)
        return self._served(unit, value) if isinstance(value, ThrottledError | UnavailableError) else value

    # ------------------------------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self, units: Iterable[Unit]) -> Iterator[None]:
        """See Cache. An outcome that is unknown counts as written, for as long as it may still become true."""
        barred, writer = list(dict.fromkeys(units)), new_token()
        self._drop(barred)
        if self.remote is not None:
            self.remote.block(barred, writer, self.limits.block_seconds)
        known = False
        try:
            yield
            known = True
        except BlueStarError as error:
            # An error that came after a try without an answer says nothing of that try: only these are sure.
            known = isinstance(error, ConflictError | NEVER_SENT)
            raise
        finally:
            if known:
                self._drop(barred)
            else:
                for cache in self.peers():
                    cache.local.block(barred, self.limits.block_seconds)
            if self.remote is not None:
                if known:
                    self.remote.release(barred, writer)
                else:
                    self.remote.block(barred, writer, self.limits.block_seconds)
                if self.remote.is_open:
                    self._start()  # who only writes has nobody yet to tell Redis later
                    if self._keeper is None:
                        self.remote.recover()  # nor a thread

    def _drop(self, units: Sequence[Unit]) -> None:
        """In all Stores of this process that look at the same data."""
        for cache in self.peers():
            cache.local.drop(units)

    def peers(self) -> list[TieredCache]:
        """The caches of this process that look at the same data, this one among them."""
        return FAMILIES.of(self.namespace)

    # ------------------------------------------------------------------------------------------------- the background

    def _start(self) -> None:
        """Before the first load: listen to other processes. Waits for the channel no longer than for any answer."""
        if self._started or self.remote is None:
            return
        from bluestar_store.cache.keeper import Keeper

        with self._lock:
            if self._keeper is None and not self._closed:
                keeper = Keeper(
                    self.remote, hear=self._hear, tell=self._tell, heartbeat_seconds=self.limits.heartbeat_seconds
                )
                if not keeper.start():
                    return  # deaf until a thread can be had: what is kept lives shortly
                self._keeper = keeper
                if not keeper.wait(self.limits.redis_timeout_seconds):
                    self.remote.open("no answer in time")  # nobody waits for it a second time
                self._started = True

    def forget_here(self, matches: Callable[[Unit], bool]) -> int:
        """Forget matching units in this process; how many entries there were."""
        return sum(cache.local.drop_where(matches) for cache in self.peers())

    def _hear(self, message: Message) -> None:
        self.counters.add("invalidations_in")
        self.local.drop(message.units)
        if message.fields is not None:
            self.local.drop_where(matcher(self.fields, message.kind, message.fields))

    def _tell(self, there: bool) -> None:
        """The channel came or went: what was said in between was not heard."""
        self._channel = there
        self.local.flush()

    def close(self) -> None:
        """End the threads and connections; may be called twice. What is read afterwards is loaded."""
        with self._lock:
            self._closed = True
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()
        self._refresher.close()
        self.local.turn_off()
        if self.remote is not None:
            if self.remote.pending:
                self.remote.recover()  # the last chance to tell
            self.remote.close()
        FAMILIES.leave(self)

    # -------------------------------------------------------------------------------------------------------- looking

    def stats(self) -> CacheStats:
        """What it did and how it is."""
        counts = self.counters.counts()
        counts["hits_local"] += self.local.hits
        counts["flushes"] = self.local.flushes
        redis = "off" if self.remote is None else "open" if self.remote.is_open else "closed"
        return CacheStats(
            **counts,
            redis=redis,
            redis_error=self.counters.last_error,
            channel=self._channel,
            pending=0 if self.remote is None else len(self.remote.pending),
            entries=self.local.entries,
            bytes=self.local.bytes,
        )
