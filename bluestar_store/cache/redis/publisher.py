"""Announcing writes: a tombstone in Redis for each cache key, an invalidation message to all processes, values removed.

A message needs neither memory nor a master, so it is sent where the tombstone is refused: processes that receive it do
not read the keys from Redis until they can be trusted again. What can be announced in neither way is kept as pending,
announced as soon as Redis is reached again, and counted and logged until then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from bluestar_store.cache.limits import Counters
from bluestar_store.cache.redis.client import CommandOf, RedisClient
from bluestar_store.cache.redis.connection import (
    Command,
    RedisCallError,
    RespConnection,
    ServerPool,
    check,
    is_refusal,
)
from bluestar_store.cache.redis.messages import Namespace, Notice, PendingNotices, Signer
from bluestar_store.cache.redis.stored import BLOCK, FORGET, RELEASE, WITNESS
from bluestar_store.protocols import CacheKey

_log = logging.getLogger(__name__)
T = TypeVar("T")

KEYS_A_MESSAGE = 250
"""More keys go into several messages: receivers ignore messages that are too large."""
WITNESS_SECONDS = 86_400
"""How long the witness outlives the last process."""
WITNESS_KEY: CacheKey = ("witness",)
"""The key whose content shows since when a server has lost nothing (see WITNESS); writing it tests for writes."""
_NOT_CACHE_KEYS = ("probe", *WITNESS_KEY)
"""Keys without a cached value; release 0.1.0 writes the first, to test whether a server takes writes again."""
SCAN_KEYS = 500
"""Keys that one SCAN looks at."""


class Delivery(Enum):
    """The result of an announcement. STORED: tombstone and message; PUBLISHED: the message alone; FAILED: neither."""

    STORED, PUBLISHED, FAILED = range(3)


class InvalidationPublisher:
    """Safe for threads. `origin` names this process in its messages.

    `legacy` are the names that release 0.1.0 uses, where they differ: writes are announced under both.
    """

    def __init__(
        self,
        client: RedisClient,
        origin: str,
        signer: Signer,
        counters: Counters,
        clock: Callable[[], float],
        legacy: Namespace | None = None,
    ) -> None:
        self.client, self.origin, self.signer, self.legacy = client, origin, signer, legacy
        self.namespaces = (client.namespace,) if legacy is None else (client.namespace, legacy)
        self._counters, self._clock = counters, clock
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child."""
        self.client.reset()
        self.pending = PendingNotices()
        self._retained_since: float | None = None
        self._warned = False

    # -------------------------------------------------------------------------------------------------------- writers

    def put_tombstones(self, cache_keys: Iterable[CacheKey], writer: bytes, seconds: float) -> None:
        """Before a write, and after one of unknown outcome: no value may be read or stored for so many seconds."""
        until = self._clock() + seconds
        self._announce([Notice(cache_key, writer, until) for cache_key in cache_keys])

    def remove_tombstones(self, cache_keys: Iterable[CacheKey], writer: bytes) -> None:
        """After a write: values that are loaded from now on may be stored."""
        self._announce([Notice(cache_key, writer, None) for cache_key in cache_keys])

    def _announce(self, notices: Sequence[Notice]) -> None:
        delivery = self._publish_only(notices) if self.client.is_open else self._store_and_publish(notices)
        if delivery is Delivery.STORED:
            return
        self.pending.add(notices)
        self.client.open("a write could not be announced")  # it may have closed between these lines
        self._counters.add("unwritten" if delivery is Delivery.PUBLISHED else "unannounced")
        self._warn(delivery)

    def _warn(self, delivery: Delivery) -> None:
        """Once an outage."""
        if self._warned:
            return
        self._warned = True
        reason = self._counters.last_error
        if delivery is Delivery.PUBLISHED:
            _log.warning("Redis keeps nothing (%s): other processes are told of writes by message alone", reason)
        else:
            _log.warning(
                "Redis cannot be told of a write (%s): other processes that still hear each other may give what was "
                "there before until it can be told, or until cache_ttl_seconds have passed",
                reason,
            )

    def _store_and_publish(self, notices: Sequence[Notice]) -> Delivery:
        if (single := self.client.topology.single) is not None:
            try:
                return self._in_one_round_trip(single, notices)
            except RedisCallError as error:
                self.client.open(str(error))
                return Delivery.FAILED
        cache_keys = [notice.cache_key for notice in notices]
        stored = True
        for namespace in self.namespaces:
            try:
                self.client.run_on_all(cache_keys, self._tombstone_commands(notices), namespace)
            except RedisCallError as error:
                self.client.open(str(error))
                stored = False
        if not self._published(self._messages(notices, unwritten=not stored)):
            return Delivery.FAILED
        return Delivery.STORED if stored else Delivery.PUBLISHED

    def _in_one_round_trip(self, server: ServerPool, notices: Sequence[Notice]) -> Delivery:
        """The messages come after the tombstones, and are sent whether or not those are refused."""
        command, messages = self._tombstone_commands(notices), self._messages(notices, unwritten=False)

        def commands(run_id: bytes) -> list[Command]:
            tombstones = [
                command(number, partial(namespace.redis_key, run_id=run_id))
                for namespace in self.namespaces
                for number in range(len(notices))
            ]
            return [*tombstones, *messages]

        replies = server.call(commands, errors=True)
        tombstones, published = replies[: -len(messages)], replies[-len(messages) :]
        check(published)
        self._counters.add("invalidations_out")
        if not any(map(is_refusal, tombstones)):
            return Delivery.STORED
        try:
            check(tombstones)
        except RedisCallError as error:
            self.client.open(str(error))
        again = self._published(self._messages(notices, unwritten=True))
        return Delivery.PUBLISHED if again else Delivery.FAILED

    def _publish_only(self, notices: Sequence[Notice]) -> Delivery:
        """While the breaker is open: by message alone. After a failure not again, until Redis is reached."""
        if not self.client.may_publish:
            return Delivery.FAILED
        if self._published(self._messages(notices, unwritten=True)):
            return Delivery.PUBLISHED
        self.client.may_publish = False
        return Delivery.FAILED

    def _tombstone_commands(self, notices: Sequence[Notice]) -> CommandOf:
        now = self._clock()

        def command(number: int, redis_key: Callable[[CacheKey], bytes]) -> Command:
            notice = notices[number]
            if notice.until is not None and notice.until > now:
                lifetime_ms = max(int((notice.until - now) * 1000), 1)
                return "EVAL", BLOCK, 1, redis_key(notice.cache_key), notice.writer, lifetime_ms
            return "EVAL", RELEASE, 1, redis_key(notice.cache_key), notice.writer

        return command

    # ------------------------------------------------------------------------------------------------------- messages

    def _messages(self, notices: Sequence[Notice], *, unwritten: bool) -> list[Command]:
        """The PUBLISH commands for the notices, under all names."""
        now, messages = self._clock(), list[Command]()
        for (writer, until), group in groupby(notices, key=lambda notice: (notice.writer, notice.until)):
            seconds = None if until is None or until <= now else until - now
            for keys in _portions([notice.cache_key for notice in group]):
                for namespace in self.namespaces:
                    twice = namespace is self.legacy
                    message = namespace.changed(
                        self.origin, keys, writer, seconds, unwritten=unwritten, sent_twice=twice
                    )
                    messages.append(self._publish_command(namespace.channel, message))
        return messages

    def _publish_command(self, channel: bytes, message: bytes) -> Command:
        return "PUBLISH", channel, self.signer.signed_message(channel, message)

    def publish_matching(self, kind: str | None, fields: Mapping[str, Any]) -> bool:
        """Announce that everything changed that the fields match; returns whether it was published."""
        return self._published_as(lambda names, twice: names.matching(self.origin, kind, fields, sent_twice=twice))

    def publish_changed(self, cache_keys: Iterable[CacheKey]) -> bool:
        """Announce that keys were changed by an unknown writer; returns whether it was published."""
        return all(map(self._published_change, _portions(list(cache_keys))))

    def _published_change(self, cache_keys: Sequence[CacheKey]) -> bool:
        return self._published_as(lambda names, twice: names.changed(self.origin, cache_keys, sent_twice=twice))

    def _published_as(self, message: Callable[[Namespace, bool], bytes]) -> bool:
        """Publish a message under all names; it is given the names, and whether they are the second ones."""
        return self._published(
            [self._publish_command(names.channel, message(names, names is self.legacy)) for names in self.namespaces]
        )

    def _published(self, messages: Sequence[Command]) -> bool:
        try:
            self._publish(messages)
        except RedisCallError as error:
            self.client.open(str(error))
            return False
        self._counters.add("invalidations_out")
        return True

    def _publish(self, messages: Sequence[Command]) -> None:
        self._on_any_server(lambda server: server.call(lambda _: messages))

    def _on_any_server(self, done: Callable[[ServerPool], T]) -> T:
        """Each node of a cluster passes messages on to all others. Raises RedisCallError."""
        failed: RedisCallError | None = None
        for server in self.client.topology.servers():
            try:
                return done(server)
            except RedisCallError as error:
                failed = error
        raise failed or RedisCallError("the cluster has no master")

    # ------------------------------------------------------------------------------------------------- values removed

    def discard(self, cache_keys: Sequence[CacheKey]) -> bool:
        """Remove values and leases, but no tombstones; returns whether Redis did."""
        return self.client.run(cache_keys, lambda number, key: ("EVAL", FORGET, 1, key(cache_keys[number]))) is not None

    def forget(self, matches: Callable[[CacheKey], bool]) -> int:
        """Remove the values and leases of all matching keys; returns how many there were. Raises RedisCallError."""
        count = 0
        for server, found in self._scanned():
            redis_keys = [redis_key for cache_key, redis_key in found if matches(cache_key)]
            if redis_keys:
                count += sum(server.call(partial(_forgetting, redis_keys)))
        return count

    def forget_quietly(self, matches: Callable[[CacheKey], bool]) -> None:
        """The same; a failure opens the breaker."""
        if not self.client.is_open:
            try:
                self.forget(matches)
            except RedisCallError as error:
                self.client.open(str(error))

    def held_keys(self) -> Iterator[CacheKey]:
        """The cache keys that this run of the servers holds. Raises RedisCallError."""
        for _, found in self._scanned():
            yield from (cache_key for cache_key, _ in found)

    def _scanned(self) -> Iterator[tuple[ServerPool, list[tuple[CacheKey, bytes]]]]:
        for server in self.client.topology.servers():
            cursor: object = 0
            while True:
                ((cursor, redis_keys),) = server.call(partial(self._scan, cursor))
                found = ((self.client.namespace.cache_key(redis_key), redis_key) for redis_key in redis_keys)
                yield server, [(key, redis_key) for key, redis_key in found if key and key[0] not in _NOT_CACHE_KEYS]
                if cursor in (0, b"0"):
                    break

    def _scan(self, cursor: object, run_id: bytes) -> list[Command]:
        return [("SCAN", cursor, "MATCH", self.client.namespace.pattern(run_id), "COUNT", SCAN_KEYS)]

    # --------------------------------------------------------------------------------------- for the listener's thread

    def recover(self) -> bool:
        """Try to reach Redis and announce what is pending; returns whether the breaker is closed again."""
        try:
            self.client.topology.refresh()
            self.witness()
        except RedisCallError:
            # A server that is full, or has become a replica, stores nothing, but may deliver messages.
            if not self.client.may_publish:
                waiting = self.pending.all()
                self.client.may_publish = not waiting or self._published(self._messages(waiting, unwritten=True))
            return False
        while True:
            waiting, overflowed = self.pending.take()
            if (overflowed and not self._invalidate_all()) or (
                waiting and self._store_and_publish(waiting) is not Delivery.STORED
            ):
                self.pending.put_back(waiting, overflowed)
                return False
            if self.client.close_breaker(self._is_all_announced):
                return True

    def _is_all_announced(self) -> bool:
        """Whether nothing is pending; then the next outage is warned of. Called under the breaker's lock."""
        if self.pending:
            return False
        self._warned = False
        return True

    def _invalidate_all(self) -> bool:
        """Invalidate everything in all processes; returns whether that was possible."""
        try:
            self.forget(lambda cache_key: True)
        except RedisCallError:
            return False
        return self.publish_matching(None, {})

    def check_writable(self) -> None:
        """Open the breaker if a server refuses writes. A silent one is noticed by the missing heartbeats."""
        try:
            self.witness()
        except RedisCallError as error:
            if error.is_refusal:
                self.client.open(str(error))

    def witness(self) -> None:
        """Ask each server, by a write, since when it has lost nothing. Raises RedisCallError."""
        retained_ms = list[int]()
        for server in self.client.topology.servers():
            (reply,) = server.call(partial(self._witness_command, server))
            retained_ms.append(int(reply))
        self._retained_since = self._clock() - min(retained_ms, default=0) / 1000

    def _witness_command(self, server: ServerPool, run_id: bytes) -> list[Command]:
        redis_key = self.client.namespace.redis_key(self._witness_key(server), run_id)
        return [("EVAL", WITNESS, 1, redis_key, WITNESS_SECONDS * 1000)]

    def _witness_key(self, server: ServerPool) -> CacheKey:
        """A key that this server holds."""
        if self.client.topology.single is not None:
            return WITNESS_KEY
        for number in range(1000):
            cache_key = (*WITNESS_KEY, number)
            if self.client.topology.server_for(self.client.namespace.slot_key(cache_key)) is server:
                return cache_key
        raise RedisCallError("a master has no slots")

    def retained_seconds(self) -> float:
        """For how long all servers have surely lost nothing; 0 when that is not known."""
        return 0.0 if self._retained_since is None else self._clock() - self._retained_since

    def connect(self) -> RespConnection:
        """A connection to subscribe with. Raises RedisCallError."""
        return self._on_any_server(ServerPool.connect)

    def send_heartbeat(self, nonce: str) -> None:
        """Publish a heartbeat on this process's own channel, as writers publish. Raises RedisCallError."""
        channel = self.client.namespace.own_channel(self.origin)
        self._publish([self._publish_command(channel, self.client.namespace.heartbeat(self.origin, nonce))])


def _portions(cache_keys: Sequence[CacheKey]) -> Iterator[Sequence[CacheKey]]:
    """The keys in lists that fit into one message each."""
    return (cache_keys[first : first + KEYS_A_MESSAGE] for first in range(0, len(cache_keys), KEYS_A_MESSAGE))


def _forgetting(redis_keys: Sequence[bytes], run_id: bytes) -> list[Command]:
    return [("EVAL", FORGET, 1, redis_key) for redis_key in redis_keys]
