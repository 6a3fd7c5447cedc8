"""The cache under every cached read: values in this process, over values in Redis, over the engine.

Coherence rests on an order. A write puts tombstones into Redis and tells every process, commits, and does both again.
A load takes a lease before it reads, and its value is stored only where that lease still stands: in Redis by
compare-and-set, in this process by the in-flight load. A value that one of them refuses is stored in neither.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from bluestar_store.cache.limits import CacheLimits, CacheStats, Counters
from bluestar_store.cache.local import LocalCache
from bluestar_store.cache.read_through import EngineLoader, ReadThrough
from bluestar_store.cache.redis.stored import new_token
from bluestar_store.clock import SystemClock, continuous
from bluestar_store.errors import (
    BlueStarError,
    ConfigurationError,
    ConflictError,
    InvalidEntityError,
    InvalidKeyError,
    InvalidWriteError,
    ItemTooLargeError,
)
from bluestar_store.forking import remember
from bluestar_store.protocols import SETTLING_SECONDS, BeforeAttempt, CacheKey, Source

if TYPE_CHECKING:  # these load redis
    from bluestar_store.cache.redis.listener import InvalidationListener, Received
    from bluestar_store.cache.redis.publisher import InvalidationPublisher
    from bluestar_store.cache.redis.tier import RedisTier, TierFinder

Fields: TypeAlias = Mapping[str, tuple[str, ...]]
"""The names of the fields of a cache key, by its first member: a kind's name, or with `*` that of its partitions."""
MOST_TOMBSTONE_SECONDS = 3600.0
"""For how long another process can keep values out, where it waits longer for DynamoDB than this one."""
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
        remote: RedisTier | None = None,
        finder: TierFinder | None = None,
        clock: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        """`fields` names the fields of each kind's cache keys.

        `remote` is the second tier; `finder` finds it, where DynamoDB has to be asked which one belongs to the tables.
        """
        self.limits, self.namespace, self.fields, self.counters, self.clock = limits, namespace, fields, counters, clock
        self.local = LocalCache(limits.max_entries, limits.max_bytes, clock)
        self.peek, self.peek_first, self.peek_all = self.local.peek, self.local.peek_first, self.local.peek_all
        self.remote, self._finder = remote, finder
        self.is_shared = remote is not None or finder is not None
        most_seconds = limits.degraded_ttl_seconds if self.is_shared else math.inf
        self._reads = ReadThrough(
            self.local, limits, counters, clock, EngineLoader(limits, counters, clock, most_seconds)
        )
        self._reset()
        if remote is not None:
            self._use(remote)
        PEERS.join(self)
        remember(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._listener: InvalidationListener | None = None
        self._started = self._closed = self._channel = False
        self._reads.is_degraded = self.is_shared

    def forked(self) -> None:
        """In a forked child: nothing of the parent's is used or closed."""
        closed = self._closed
        self._reset()
        self._closed = closed
        self._reads.forked()
        self.counters.forked()
        self.local.reset()
        if self._finder is not None:
            self._finder.forked()
        if self.remote is not None:
            self.remote.reset()
            self.remote.publisher.origin = new_token().decode()  # other than its parent's and the other children's
            self._use(self.remote)

    def _use(self, remote: RedisTier) -> None:
        from bluestar_store.cache.redis.loading import RedisLoader

        self.remote = remote
        self._reads.loader = RedisLoader(self.limits, self.counters, self.clock, remote, self.local.writes)

    def attach(self) -> RedisTier:
        """The second tier; finds it first, where it is not known yet. Raises BlueStarError."""
        if self.remote is None and self._finder is not None:
            remote = self._finder.find()
            with self._lock:
                if self.remote is None:
                    self._use(remote)
        if self.remote is None:
            raise ConfigurationError("there is no second tier: set BLUESTAR_REDIS_URL")
        return self.remote

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """See Cache. One load for all that is missing and that no other thread is loading."""
        if not self._started:
            self._start()
        return self._reads.fetch(cache_keys, source, fresh=fresh)

    # ------------------------------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self, cache_keys: Iterable[CacheKey]) -> Iterator[BeforeAttempt]:
        """See Cache. After an unknown outcome the keys stay out of the cache for as long as the commit may come."""
        keys, writer = list(dict.fromkeys(cache_keys)), new_token()
        publisher = self._publisher()

        def begin() -> tuple[float, float]:
            since = self.clock(), continuous()
            for cache in self.peers():
                cache.local.begin_write(keys, writer, self.limits.block_seconds)
            if publisher is not None:
                publisher.put_tombstones(keys, writer, self.limits.block_seconds)
            return since

        since = begin()

        def renew() -> None:
            nonlocal since
            passed = max(self.clock() - since[0], continuous() - since[1])  # the second one counts a suspended computer
            if passed > self.limits.block_seconds / 2:
                since = begin()

        known = False
        try:
            yield renew
            known = True
        except BlueStarError as error:
            # Other errors may follow a try whose answer was lost, and say nothing of that try.
            known = isinstance(error, ConflictError | NEVER_SENT)
            raise
        finally:
            if not known:
                begin()
            else:
                self._end_write(keys, writer)
                if publisher is not None:
                    publisher.remove_tombstones(keys, writer)
            if publisher is not None and publisher.client.is_open:
                self._start()  # a process that only writes has no listener yet, which would recover later
                if self._listener is None or self.remote is None or publisher is not self.remote.publisher:
                    publisher.recover()

    def _end_write(self, cache_keys: Sequence[CacheKey], writer: bytes) -> None:
        """In all caches of this process that share the data: values loaded from now on are stored."""
        for cache in self.peers():
            cache.local.drop(cache_keys)  # first: a value that was read before the commit must not be stored between
            cache.local.writes.end(cache_keys, writer)

    def _publisher(self) -> InvalidationPublisher | None:
        """Announces writes to other processes. Unlike a read, a write waits until the second tier is found."""
        if not self.is_shared:
            return None
        try:
            return self.attach().publisher
        except BlueStarError as error:
            self.counters.failed(str(error))
            return self._legacy  # received by release 0.1.0, and by processes that have found the second tier

    @property
    def _legacy(self) -> InvalidationPublisher | None:
        return None if self._finder is None else self._finder.legacy

    def _publishers(self) -> list[InvalidationPublisher]:
        """All that may have something to publish."""
        found = None if self.remote is None else self.remote.publisher
        return [one for one in (found, self._legacy) if one is not None]

    def peers(self) -> list[TieredCache]:
        """The caches of this process that share the data, this one among them."""
        return PEERS.of(self.namespace)

    # ------------------------------------------------------------------------------------------------- invalidations

    def _start(self) -> None:
        """Before the first load: start the listener, and wait for its channel no longer than for any answer."""
        if self._started or not self.is_shared:
            return
        from bluestar_store.cache.redis.listener import InvalidationListener

        with self._lock:
            if self._closed:
                return
            listener, known = self._listener, self.remote
            if listener is None:
                listener = InvalidationListener(
                    self.attach,
                    self.limits,
                    on_message=self._on_message,
                    on_channel=self._on_channel,
                    on_heartbeat=self._on_heartbeat,
                    clock=self.clock,
                )
                if not listener.start():
                    return  # until a thread can be had, values are kept for a short time
                self._listener = listener
        # Where the second tier has to be found first, that goes on beside the first read.
        if known is not None and not listener.wait(self.limits.redis_timeout_seconds):
            known.client.open("no answer in time")  # the next read need not wait as well
        self._started = True

    def changed_lately(self, cache_key: CacheKey) -> bool:
        """See Cache. True as well while this process has not listened for long enough to know."""
        if self.is_shared:
            since = None if self.remote is None else self.remote.listening_since
            if since is None or self.clock() - since < SETTLING_SECONDS:
                return True
        return self.local.changed_lately(cache_key)

    def forget_here(self, matches: Callable[[CacheKey], bool]) -> int:
        """Remove matching entries in this process; returns how many there were."""
        return sum(cache.local.drop_where(matches) for cache in self.peers())

    def _on_message(self, received: Received) -> None:
        """Another process announced a change."""
        message, remote = received.message, self.remote
        if remote is None or (received.legacy and message.sent_twice):
            return
        self.counters.add("invalidations_in")
        cache_keys, writer = message.cache_keys, message.writer
        if not received.signed:
            self.counters.add("unsigned")
            if writer is not None:  # it can end no write that a signed message began
                writer = b"unsigned " + writer
        if cache_keys and (received.legacy or message.unwritten):
            remote.distrust(cache_keys)  # this write has no tombstone where we look
        if writer is not None and message.tombstone_seconds is not None:
            seconds = min(message.tombstone_seconds, max(self.limits.block_seconds, MOST_TOMBSTONE_SECONDS))
            self.local.begin_write(cache_keys, writer, seconds, announced=True)
        else:
            self.local.drop(cache_keys)  # first, as in `_end_write`
            if writer is not None:
                self.local.writes.end(cache_keys, writer)
        if message.fields is not None:
            matches = matcher(self.fields, message.kind, message.fields)
            self.local.drop_where(matches)
            if received.legacy:
                remote.publisher.forget_quietly(matches)

    def _on_channel(self, there: bool) -> None:
        """The invalidation channel came or went: messages in between were missed, so no entry can be trusted."""
        self._channel = there
        self._reads.is_degraded = not there
        if self.remote is not None:
            self.remote.listening_since = self.clock() if there else None
        self.local.flush()
        if not there:
            self.local.trusted_until = math.inf  # new entries live for a short time instead

    def _on_heartbeat(self, sent: float) -> None:
        """A heartbeat came back, and so did every message that was sent before it."""
        remote = self.remote
        if not self._channel or remote is None:
            return
        self.local.trusted_until = sent + self.limits.trust_seconds
        if remote.listening_since is not None and remote.publisher.retained_seconds() >= self.limits.block_seconds:
            # Redis has lost nothing since before we listened: the tombstones of unfinished writes are still there.
            self.local.writes.end_announced(remote.listening_since)

    def close(self) -> None:
        """End the threads and connections; may be called twice. Later reads are loads."""
        with self._lock:
            self._closed = True
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self._reads.close()
        self.local.turn_off()
        for publisher in self._publishers():
            if publisher.pending:
                publisher.recover()  # the last chance to publish it
            publisher.client.close()
        PEERS.leave(self)

    def stats(self) -> CacheStats:
        """Counts and state."""
        counts = self.counters.counts()
        counts["hits_local"] += self.local.hits
        counts["flushes"] = self.local.flushes
        remote = self.remote
        if remote is not None:
            redis = "open" if remote.client.is_open else "closed"
        else:
            redis = "open" if self._finder is not None and not self._finder.is_denied else "off"
        return CacheStats(
            **counts,
            redis=redis,
            redis_error=self.counters.last_error,
            channel=self._channel,
            pending=sum(len(one.pending) for one in self._publishers()),
            entries=self.local.entries,
            bytes=self.local.bytes,
        )


def matcher(fields: Fields, kind: str | None, wanted: Mapping[str, Any]) -> Callable[[CacheKey], bool]:
    """Whether a cache key is of the kind (None: of any) and has the wanted values, as far as it has such fields.

    A partition has no field for the sort key of its items, so it matches when the other fields do. Without a kind, a
    key that has none of the wanted fields does not match, unless nothing is wanted. Kinds that only another process
    knows match nothing here.
    """

    def matches(cache_key: CacheKey) -> bool:
        name, *identity = cache_key
        if kind not in (None, str(name).removesuffix("*")):
            return False
        values = dict(zip(fields.get(str(name), ()), identity, strict=False))
        common = wanted.keys() & values.keys()
        return all(str(values[name]) == str(wanted[name]) for name in common) and bool(common or kind or not wanted)

    return matches


class Peers:
    """The open caches of this process by namespace. Reads take no lock: the tuples are replaced, never changed."""

    def __init__(self) -> None:
        self._peers: dict[str, tuple[weakref.ref[TieredCache], ...]] = {}
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def join(self, cache: TieredCache) -> None:
        """Add a cache."""
        self._replace(cache, weakref.ref(cache))

    def leave(self, cache: TieredCache) -> None:
        """Remove a cache."""
        self._replace(cache)

    def _replace(self, cache: TieredCache, *added: weakref.ref[TieredCache]) -> None:
        with self._lock:
            others = (ref for ref in self._peers.get(cache.namespace, ()) if ref() not in (None, cache))
            peers = (*others, *added)
            if peers:
                self._peers[cache.namespace] = peers
            else:
                self._peers.pop(cache.namespace, None)

    def of(self, namespace: str) -> list[TieredCache]:
        """The open caches of one namespace."""
        return [cache for ref in self._peers.get(namespace, ()) if (cache := ref()) is not None]


PEERS = Peers()
