"""`store.cache`: statistics, what is cached where, and invalidation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bluestar_store.cache.redis.stored import StoredValue
from bluestar_store.cache.stats import CacheStats, Listener
from bluestar_store.cache.tiered import Fields, TieredCache, matcher
from bluestar_store.errors import BlueStarError, CacheError
from bluestar_store.protocols import CacheKey
from bluestar_store.redaction.tracebacks import without_locals

_log = logging.getLogger(__name__)


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
        from bluestar_store.cache.redis.connections import RedisCallError

        try:
            remote = self._cache.attach()
            count += remote.forget(matches)
            published = remote.publish_matching(kind, wanted)
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
        from bluestar_store.cache.redis.connections import RedisCallError

        try:
            for cache_key in self._cache.attach().held_keys():
                counts[cache_key[0]] = counts.get(cache_key[0], 0) + 1
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
