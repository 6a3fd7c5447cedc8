"""The second tier: encoded values in Redis, stored under a lease by compare-and-set, kept out by tombstones.

Its methods do not raise: a failure opens the circuit breaker, and counts as a miss.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

from bluestar_store.cache.redis import stored
from bluestar_store.cache.redis.client import follow_redirects
from bluestar_store.cache.redis.connection import Command, RedisCallError, packed
from bluestar_store.cache.redis.publisher import WITNESS_KEY, InvalidationPublisher
from bluestar_store.cache.redis.stored import (
    CLOCKS_APART_MS,
    FILL,
    LEASE_MS,
    AbandonedLease,
    Fill,
    OtherLease,
    Outdated,
    OwnLease,
    Stored,
    StoredValue,
    Unsigned,
)
from bluestar_store.errors import AccessDeniedError, BlueStarError
from bluestar_store.protocols import CacheKey

_log = logging.getLogger(__name__)

PACKED_KEYS = 8192
"""Cache keys whose packed commands are kept."""
MAX_DISTRUSTED = 10_000
"""Cache keys that are distrusted one by one; when there are more, all values that are in Redis are."""
RETRY_SECONDS, DENIED_SECONDS = 0.5, 60.0
"""How long TierFinder does not ask DynamoDB again after a failure, and after a denial."""

LookResult: TypeAlias = tuple[Mapping[CacheKey, tuple[object, object]], bytes, float]
"""What the keys held when we tried to put our lease there, with Redis's PTTL of each; that lease; and when that was."""


class RedisTier:
    """Safe for threads. `publisher` tells other processes of writes; both send their commands by its `client`."""

    def __init__(self, publisher: InvalidationPublisher, clock: Callable[[], float]) -> None:
        self.publisher, self.client, self._signer, self._clock = publisher, publisher.client, publisher.signer, clock
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child."""
        self.publisher.reset()
        self.listening_since: float | None = None
        """Since when all messages of other processes have been received; None while the channel is down."""
        self._lock = threading.Lock()
        self._leases = stored.leases()
        self._distrusted: dict[CacheKey, float] = {}
        self._to_discard: set[CacheKey] = set()
        # On the path of every hit. Packing takes as long as sending; one script for both commands takes Redis longer.
        self._packed_look = lru_cache(PACKED_KEYS)(self._pack_look)

    # -------------------------------------------------------------------------------------------------------- reading

    def get_or_lease(self, cache_keys: Sequence[CacheKey]) -> LookResult | None:
        """What each key holds; where it holds nothing, our lease is put there. None when Redis is out of the path.

        One round trip a server.
        """
        if self.client.is_open:
            return None
        lease = next(self._leases)
        try:
            if (single := self.client.topology.single) is not None:
                replies = iter(single.call_packed(partial(self._look_request, cache_keys, lease)))
                pairs = zip(replies, replies, strict=True)
                return dict(zip(cache_keys, pairs, strict=True)), lease, self._clock()
            found: dict[CacheKey, Any] = dict.fromkeys(cache_keys)  # in their order, whichever server answers first
            for server, numbers in self.client.by_server(cache_keys, self.client.namespace):
                asked = [cache_keys[number] for number in numbers]
                replies = iter(server.call_packed(partial(self._look_request, asked, lease), errors=True))
                for cache_key, pair in zip(asked, zip(replies, replies, strict=True), strict=True):
                    again = partial(self._look_commands, cache_key, lease)
                    found[cache_key] = tuple(follow_redirects(self.client.topology, pair, again))
        except RedisCallError as error:
            self.client.open(str(error))
            return None
        return found, lease, self._clock()

    def _look_request(self, cache_keys: Sequence[CacheKey], lease: bytes, run_id: bytes) -> tuple[bytes, int]:
        parts: list[bytes] = []
        for cache_key in cache_keys:
            before, after = self._packed_look(cache_key, run_id)
            parts += (before, lease, after)
        return b"".join(parts), 2 * len(cache_keys)

    def _pack_look(self, cache_key: CacheKey, run_id: bytes) -> tuple[bytes, bytes]:
        """The two commands of a look, packed, without the lease in their middle."""
        lease = stored.lease(b"-" * stored.TOKEN_BYTES)
        before, _, after = packed(self._look_commands(cache_key, lease, run_id)).rpartition(lease)
        return before, after

    def _look_commands(self, cache_key: CacheKey, lease: bytes, run_id: bytes) -> list[Command]:
        redis_key = self.client.namespace.redis_key(cache_key, run_id)
        return [("SET", redis_key, lease, "NX", "GET", "PX", LEASE_MS), ("PTTL", redis_key)]

    def state(self, cache_key: CacheKey, content: object, left: object, lease: bytes, now: float) -> Stored:
        """The meaning of a key's content and PTTL when we tried to put our lease there.

        A value from before the end of the last outage is Outdated, whoever wrote it: a writer may have been cut off as
        well. So is a value from before a write without a tombstone. A lease from that time is an AbandonedLease: a
        server that hung executes commands that its clients gave up long ago.
        """
        found = stored.parse(content, left, lease)
        since = self.client.trusted_since
        if self._distrusted:
            since = max(since, self._distrusted.get(cache_key, since))
        if isinstance(found, StoredValue):
            if self._signer and not self._is_signed(cache_key, found):
                return Unsigned(found.token)
            return Outdated(found.token) if now - found.age_ms / 1000 < since else found
        if isinstance(found, OtherLease) and now - (LEASE_MS - found.remaining_ms) / 1000 < since:
            return AbandonedLease(found.token)
        return found

    def _is_signed(self, cache_key: CacheKey, value: StoredValue) -> bool:
        """Whether one of our keys has signed a value for this cache key, no longer ago than its lifetime.

        The signed time counts, because an attacker can put back an old value with a new PTTL.
        """
        if value.signed is None or not self._signer.is_signed(self._context(cache_key), *value.signed):
            return False
        lifetime_ms = value.age_ms + value.remaining_ms
        left_ms = value.written_ms + lifetime_ms + CLOCKS_APART_MS - int(time.time() * 1000)
        value.remaining_ms = min(value.remaining_ms, left_ms)
        return left_ms > 0

    def _context(self, cache_key: CacheKey) -> bytes:
        return self.client.namespace.slot_key(cache_key)

    def moment(self, cache_key: CacheKey, lease: bytes) -> object:
        """Equal for values that one look found on one server, which were current at the same time.

        A write puts all its tombstones before it commits, and a server executes one look as a whole.
        """
        if self.client.topology.single is not None:
            return lease
        return lease, self.client.topology.server_for(self.client.namespace.slot_key(cache_key))

    def inspect(self, cache_key: CacheKey) -> StoredValue | str:
        """What a key holds, without leaving a lease; in words, when it is no value."""
        if self.client.is_open:
            return "Redis is out of the path"
        try:
            server = self.client.topology.server_for(self.client.namespace.slot_key(cache_key))
            content, left = server.call(
                lambda run_id: [(name, self.client.namespace.redis_key(cache_key, run_id)) for name in ("GET", "PTTL")]
            )
        except RedisCallError as error:
            self.client.open(str(error))
            return "Redis does not answer"
        match self.state(cache_key, content, left, b"", self._clock()):
            case StoredValue() as value:
                return value
            case OtherLease():
                return "a process is loading it"
            case stored.Tombstone():
                return "it is being written"
            case Unsigned():
                return "what Redis has is not signed by our key"
            case Outdated() | AbandonedLease():
                return "what Redis has is older than its last outage"
            case stored.Unreadable():
                return "what Redis has cannot be read"
        return "nothing in Redis"

    # ------------------------------------------------------------------------------------------------------- trusting

    def distrust(self, cache_keys: Iterable[CacheKey]) -> None:
        """Ignore what Redis has of the keys, whose tombstones could not be stored, and remove it when possible."""
        now = self._clock()
        with self._lock:
            for cache_key in cache_keys:
                self._distrusted[cache_key] = now
                self._to_discard.add(cache_key)
            if len(self._distrusted) > MAX_DISTRUSTED:
                self.client.distrust(before=now)
                self._distrusted.clear()
                self._to_discard.clear()
        self.discard_distrusted()

    def discard_distrusted(self) -> None:
        """Remove distrusted values from Redis, for processes that did not receive the message."""
        if self.client.is_open or not self._to_discard:
            return
        with self._lock:
            cache_keys, self._to_discard = list(self._to_discard), set()
        if not self.publisher.discard(cache_keys):
            with self._lock:
                self._to_discard.update(cache_keys)

    # -------------------------------------------------------------------------------------------------------- storing

    def fill(self, fills: Mapping[CacheKey, Fill]) -> Mapping[CacheKey, int]:
        """Store values by compare-and-set; returns the lifetime of each in ms, 0 for a refusal.

        Empty when Redis is out of the path.
        """
        if self.client.is_open or not fills:
            return {}

        def command(number: int, redis_key: Callable[[CacheKey], bytes]) -> Command:
            cache_key, fill = cache_keys[number], wanted[number]
            keys = [redis_key(cache_key)]
            if fill.lifetime_ms > fill.sure_ms:
                keys.append(redis_key(WITNESS_KEY))
            content = self._content(cache_key, fill)
            return "EVAL", FILL, len(keys), *keys, fill.claim, content, fill.lifetime_ms, fill.sure_ms

        cache_keys, wanted = list(fills), list(fills.values())
        replies = self.client.run(cache_keys, command) or ()
        return {
            cache_key: reply if isinstance(reply, int) and 0 <= reply <= fill.lifetime_ms else 0
            for (cache_key, fill), reply in zip(fills.items(), replies, strict=bool(replies))
        }

    def witnessed_seconds(self) -> float:
        """For how long the server has lost nothing, as far as the script of a fill can verify it.

        In a cluster it cannot: a script sees the keys of one slot, and the witness is in another.
        """
        return self.publisher.retained_seconds() if self.client.topology.single is not None else 0.0

    def listening_seconds(self) -> float:
        """For how long this process has received all messages; 0 while it does not."""
        return 0.0 if self.listening_since is None else self._clock() - self.listening_since

    def _content(self, cache_key: CacheKey, fill: Fill) -> bytes:
        if fill.payload is None:
            return b""
        if not self._signer:
            return stored.value(fill.token, fill.lifetime_ms, fill.payload)
        sign = partial(self._signer.sign, self._context(cache_key))
        return stored.signed_value(fill.token, fill.lifetime_ms, fill.payload, sign, int(time.time() * 1000))

    def take_over(self, cache_key: CacheKey, other: OtherLease) -> OwnLease | None:
        """Replace a lease whose holder does not answer by ours; None when another process was faster."""
        token = stored.new_token()
        content = stored.lease(token)
        command = ("EVAL", FILL, 1), (other.claim, content, LEASE_MS)
        replies = self.client.run([cache_key], lambda _, redis_key: (*command[0], redis_key(cache_key), *command[1]))
        return OwnLease(token) if replies == [LEASE_MS] else None


class TierFinder:
    """Finds the second tier of a store: that of its very tables, which DynamoDB has to be asked for.

    Asked by the listener's thread beside the first read, and by writers before that. Safe for threads. `legacy`
    announces writes under the names of release 0.1.0 alone, as long as today's are not found.
    """

    def __init__(
        self, identify: Callable[[], str], tier: Callable[[str], RedisTier], legacy: InvalidationPublisher | None
    ) -> None:
        self._identify, self._tier, self.legacy = identify, tier, legacy
        self.is_denied = False
        self.forked()

    def forked(self) -> None:
        """Start anew in a forked child."""
        self._lock = threading.Lock()
        self._found: RedisTier | None = None
        self._failure: tuple[float, BlueStarError] | None = None
        if self.legacy is not None:
            self.legacy.reset()

    def find(self) -> RedisTier:
        """The tier. Raises BlueStarError; after a failure, for a while without asking again."""
        with self._lock:
            if self._found is not None:
                return self._found
            if self._failure is not None and time.monotonic() < self._failure[0]:
                raise self._failure[1]
            try:
                self._found = self._tier(self._identify())
            except BlueStarError as error:
                denied = isinstance(error, AccessDeniedError)
                if denied and not self.is_denied:
                    _log.warning("no second tier of the cache: %s (dynamodb:DescribeTable is needed)", error)
                self.is_denied = denied
                self._failure = time.monotonic() + (DENIED_SECONDS if denied else RETRY_SECONDS), error
                raise
            self.is_denied = False
            return self._found
