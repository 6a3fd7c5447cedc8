"""The cache as a Store has it: opened as its settings say, or none, or one of a user's own; and `store.cache`.

redis-py is loaded only when there is a second tier.
"""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from bluestar_store.cache.limits import CacheLimits, CacheStats, Counters, Listener
from bluestar_store.cache.redis.stored import StoredValue
from bluestar_store.cache.tiered import Fields, TieredCache, matcher
from bluestar_store.clock import SystemClock
from bluestar_store.errors import BlueStarError, CacheError
from bluestar_store.plugins import CACHES
from bluestar_store.protocols import MISSING, BeforeAttempt, Cache, CacheKey, ConsistentCache, DerivedValues, Source
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import Settings, keys_in

_log = logging.getLogger(__name__)


class OpenedCache(NamedTuple):
    """What repositories read through, and what `store.cache` is."""

    cache: Cache
    control: CacheControl


@dataclass(frozen=True)
class CacheRequest:
    """The cache that is asked for: that of one environment.

    `namespace` tells the environment from all others that may share a server. `identify` asks for the name that does,
    where `namespace` alone does not; then `namespace` is the name that release 0.1.0 uses. `fields` are the fields of
    each kind's cache keys, `clock` tells seconds.
    """

    settings: Settings
    namespace: str
    fields: Fields
    identify: Callable[[], str] | None = None
    clock: Callable[[], float] = SystemClock.monotonic


def open_cache(
    settings: Settings,
    namespace: str,
    fields: Fields,
    *,
    identify: Callable[[], str] | None = None,
    clock: Callable[[], float] = SystemClock.monotonic,
) -> Cache:
    """The cache of one environment, without its control; see `CacheRequest` and `open_requested`."""
    return open_requested(CacheRequest(settings, namespace, fields, identify, clock)).cache


def open_requested(request: CacheRequest) -> OpenedCache:
    """The cache that the settings of the request choose; nothing is sent before the first read.

    Raises ConfigurationError for a bad Redis URL.
    """
    url = request.settings.redis_url
    if url is None:
        return open_in_process(request)
    opened: OpenedCache = CACHES.open(url.get_secret_value().partition("://")[0], OpenedCache._fields, request)
    return opened


def open_in_process(request: CacheRequest) -> OpenedCache:
    """A cache without a second tier."""
    limits, counters = CacheLimits.of(request.settings), Counters()
    return _opened(TieredCache(limits, request.namespace, request.fields, counters, clock=request.clock))


def open_on_redis(request: CacheRequest) -> OpenedCache:
    """A cache whose second tier is the Redis of the settings."""
    from bluestar_store.cache.redis.client import RedisClient, Topology, open_topology
    from bluestar_store.cache.redis.messages import Namespace, Signer
    from bluestar_store.cache.redis.publisher import InvalidationPublisher
    from bluestar_store.cache.redis.tier import RedisTier, TierFinder
    from bluestar_store.redaction.logs import hide_data

    hide_data()
    settings, namespace, fields, clock = request.settings, request.namespace, request.fields, request.clock
    limits, counters = CacheLimits.of(settings), Counters()
    origin, signer = uuid.uuid4().hex, Signer(keys_in(settings.cache_key) if settings.cache_key else ())
    topology = open_topology(settings)

    def publisher(servers: Topology, name: str, legacy: Namespace | None = None) -> InvalidationPublisher:
        client = RedisClient(servers, Namespace(name), counters, clock)
        return InvalidationPublisher(client, origin, signer, counters, clock, legacy)

    if request.identify is None:
        remote = RedisTier(publisher(topology, namespace), clock)
        return _opened(TieredCache(limits, namespace, fields, counters, remote=remote, clock=clock))

    def found(name: str) -> RedisTier:
        return RedisTier(publisher(topology, name, Namespace(namespace)), clock)

    finder = TierFinder(request.identify, found, legacy=publisher(open_topology(settings), namespace))
    return _opened(TieredCache(limits, namespace, fields, counters, finder=finder, clock=clock))


def _opened(cache: TieredCache) -> OpenedCache:
    return OpenedCache(cache, CacheControl(cache))


@dataclass(frozen=True)
class Explanation:
    """Where a cache key has a value: in this "process", in "redis", or "nowhere"; its age and when it expires.

    `note` says what else is known: that a write or a load is under way, that Redis is out of the path.
    """

    cache_key: CacheKey
    tier: str
    absent: bool | None = None
    age_seconds: float | None = None
    expires_in_seconds: float | None = None
    note: str | None = None

    @property
    def unit(self) -> CacheKey:
        """The old name of `cache_key`."""
        warnings.warn("`unit` is `cache_key` now", DeprecationWarning, stacklevel=2)
        return self.cache_key


@without_locals
class CacheControl:
    """`store.cache`. Only `invalidate`, `clear` and `held` raise CacheError, when Redis does not answer."""

    def __init__(self, cache: TieredCache) -> None:
        self._cache = cache

    def stats(self) -> CacheStats:
        """What the cache of this process did, and how it is; sends nothing."""
        return self._cache.stats()

    def listen(self, listener: Listener) -> None:
        """Have a function called with the name of a count (a field of CacheStats) and by how much it grew.

        Not for hits in the process, which that would slow down: `stats` has them. A listener that
        raises is not called again.
        """
        self._cache.counters.listen(listener)

    def invalidate(self, kind: str | None = None, fields: Mapping[str, Any] | None = None) -> int:
        """Invalidate all keys of a kind whose fields match, in every process; returns how many entries were seen.

        For changes that were made without the library: `invalidate(fields={"plan_id": "ACME"})` is everything of a
        plan, `invalidate("calculation-rule", {"plan_id": "ACME", "calc_type": "match"})` one rule, absences included.
        Without Redis, in this process. ValueError for a kind or a field that does not exist.
        """
        wanted = dict(fields or {})
        _check(self._cache.fields, kind, wanted)
        matches = matcher(self._cache.fields, kind, wanted)
        count = self._cache.forget_here(matches)
        if not self._cache.is_shared:
            return count
        from bluestar_store.cache.redis.connection import RedisCallError

        try:
            publisher = self._cache.attach().publisher
            count += publisher.forget(matches)
            published = publisher.publish_matching(kind, wanted)
        except (RedisCallError, BlueStarError) as error:
            raise _not_told(str(error)) from None
        if not published:
            raise _not_told(self._cache.counters.last_error or "no answer")
        self._cache.forget_here(matches)  # values that were read from Redis meanwhile
        return count

    def clear(self) -> int:
        """Invalidate everything of this environment, in every process; returns how many entries were seen."""
        return self.invalidate()

    def explain(self, cache_key: CacheKey) -> Explanation:
        """Where a cache key has a value now. Reads Redis without changing it; never raises."""
        cache = self._cache
        entry = cache.local.look(cache_key)
        now = cache.clock()
        if entry is not None and entry.expires > now:
            left = entry.expires - now
            return Explanation(cache_key, "process", not entry.value, now - entry.stored, left)
        if cache.remote is None:
            return Explanation(cache_key, "nowhere")
        held = cache.remote.inspect(cache_key)
        if isinstance(held, StoredValue):
            absent = held.payload.endswith(b",[]]")
            return Explanation(cache_key, "redis", absent, held.age_ms / 1000, held.remaining_ms / 1000)
        return Explanation(cache_key, "nowhere", note=held)

    def held(self) -> Mapping[str, int]:
        """The number of keys that Redis holds for this environment, by the kind's name. Raises CacheError."""
        counts: dict[str, int] = {}
        if not self._cache.is_shared:
            return counts
        from bluestar_store.cache.redis.connection import RedisCallError

        try:
            for cache_key in self._cache.attach().publisher.held_keys():
                kind = str(cache_key[0])
                counts[kind] = counts.get(kind, 0) + 1
        except (RedisCallError, BlueStarError) as error:
            raise CacheError(f"Redis cannot be asked: {error}") from None
        return dict(sorted(counts.items()))


def clear_quietly(cache: CacheControl, tell: Callable[[str], object] = _log.warning) -> None:
    """Invalidate everything of an environment; a failure of Redis is told, to the log by default."""
    try:
        cache.clear()
    except CacheError as error:
        tell(str(error))


def _not_told(reason: str) -> CacheError:
    return CacheError(
        f"forgotten in this process only, Redis cannot be told ({reason}): other processes follow within their "
        "cache_ttl_seconds, or repeat this when Redis is back"
    )


def _check(fields: Fields, kind: str | None, wanted: Mapping[str, Any]) -> None:
    """ValueError for a kind or a field that does not exist: nothing would match, and nobody would notice."""
    known = {name: names for name, names in fields.items() if kind in (None, name.removesuffix("*"))}
    if not known:
        raise ValueError(f"there is no kind {kind!r}; there are {', '.join(n for n in fields if not n.endswith('*'))}")
    if strange := wanted.keys() - {name for names in known.values() for name in names}:
        raise ValueError(f"there is no field {', '.join(sorted(strange))} in the keys of {kind or 'any kind'}")


class NullCache:
    """Every read is a load. Writes have nothing to invalidate."""

    def peek(self, cache_key: CacheKey, /) -> Any:
        """MISSING."""
        return MISSING

    def peek_first(self, kind: CacheKey, own: CacheKey, other: CacheKey, derived: DerivedValues, /) -> Any:
        """MISSING."""
        return MISSING

    def peek_all(self, cache_keys: Sequence[CacheKey], settles: Callable[[Any], bool], /) -> list[Any] | None:
        """None."""
        return None

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, /, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """The values that the source loads."""
        return source.load(list(dict.fromkeys(cache_keys)))

    def writing(self, cache_keys: Iterable[CacheKey], /) -> AbstractContextManager[BeforeAttempt | None]:
        """Nothing to do."""
        return nullcontext()

    def changed_lately(self, cache_key: CacheKey, /) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Nothing to do."""


class _Completed(NullCache):
    """A Cache of four methods, as release 0.1.0 has them: what needs more goes to `fetch`, and reads look again."""

    def __init__(self, cache: Cache) -> None:
        # Assigned, not called through: a hit must not cost one call more.
        self.peek, self.fetch, self.writing, self.close = cache.peek, cache.fetch, cache.writing, cache.close  # type: ignore[method-assign]

    def changed_lately(self, cache_key: CacheKey, /) -> bool:
        """True: it may have been."""
        return True


def consistent(cache: Cache) -> ConsistentCache:
    """The cache with the methods of ConsistentCache: its own, where it has all of them."""
    if all(hasattr(cache, name) for name in ("peek_first", "peek_all", "changed_lately")):
        return cast(ConsistentCache, cache)
    return _Completed(cache)
