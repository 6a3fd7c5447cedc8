"""What people and programs ask of a cache itself: how it is, what it has, and to forget."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bluestar_store.cache.matching import check, matcher
from bluestar_store.cache.stats import CacheStats, Listener
from bluestar_store.cache.stored import Held
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.errors import BlueStarError, CacheError
from bluestar_store.protocols import CacheKey
from bluestar_store.redaction.tracebacks import without_locals

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explanation:
    """Where a unit is kept: in this "process", in "redis", or "nowhere"; how old it is and when it expires.

    `note` says what else there is to know: that a write or a load is under way, that Redis is out.
    """

    unit: CacheKey
    tier: str
    absent: bool | None = None
    age_seconds: float | None = None
    expires_in_seconds: float | None = None
    note: str | None = None


@without_locals
class CacheControl:
    """`store.cache`. Only `invalidate` and `clear` raise CacheError, when Redis cannot be told."""

    def __init__(self, cache: TieredCache) -> None:
        self._cache = cache

    def stats(self) -> CacheStats:
        """What the cache of this process did, and how it is; sends nothing."""
        return self._cache.stats()

    def listen(self, listener: Listener) -> None:
        """Have a function called with the name of a count (a field of CacheStats) and by how much it grew.

        Hits in the process are not told one by one: they would be slowed down; `stats` has them. A listener that
        raises is not called again.
        """
        self._cache.counters.listen(listener)

    def invalidate(self, kind: str | None = None, fields: Mapping[str, Any] | None = None) -> int:
        """Forget everything of a kind whose fields match, in every process; how many entries it was, as far as seen.

        For what was changed behind the library's back: `invalidate(fields={"plan_id": "ACME"})` is everything of a
        plan, `invalidate("calculation-rule", {"plan_id": "ACME", "calc_type": "match"})` one rule, absences included.
        Without Redis, in this process. ValueError for a kind or a field that does not exist.
        """
        wanted = dict(fields or {})
        check(self._cache.fields, kind, wanted)
        matches = matcher(self._cache.fields, kind, wanted)
        count = self._cache.forget_here(matches)
        if not self._cache.is_shared:
            return count
        from bluestar_store.cache.link import LinkError

        try:
            remote = self._cache.attach()
            count += remote.forget(matches)
            told = remote.announce_matching(kind, wanted)
        except (LinkError, BlueStarError) as error:
            raise _not_told(str(error)) from None
        if not told:
            raise _not_told(self._cache.counters.last_error or "no answer")
        self._cache.forget_here(matches)  # what was read from Redis meanwhile
        return count

    def clear(self) -> int:
        """Forget everything of this environment, in every process; how many entries it was, as far as seen."""
        return self.invalidate()

    def explain(self, unit: CacheKey) -> Explanation:
        """Where a unit is kept right now. Looks into Redis without leaving anything there; never raises."""
        cache = self._cache
        entry = cache.local.look(unit)
        now = cache.clock()
        if entry is not None and entry.expires > now:
            left = entry.expires - now
            return Explanation(unit, "process", not entry.value, now - entry.stored, left)
        if cache.remote is None:
            return Explanation(unit, "nowhere")
        held = cache.remote.see(unit)
        if isinstance(held, Held):
            absent = held.payload.endswith(b",[]]")
            return Explanation(unit, "redis", absent, held.age_ms / 1000, held.remaining_ms / 1000)
        return Explanation(unit, "nowhere", note=held)

    def held(self) -> Mapping[str, int]:
        """How many keys Redis has for this environment, by the kind's name. Raises CacheError."""
        counts: dict[str, int] = {}
        if not self._cache.is_shared:
            return counts
        from bluestar_store.cache.link import LinkError

        try:
            for unit in self._cache.attach().held_units():
                counts[unit[0]] = counts.get(unit[0], 0) + 1
        except (LinkError, BlueStarError) as error:
            raise CacheError(f"Redis cannot be asked: {error}") from None
        return dict(sorted(counts.items()))


def clear_quietly(cache: CacheControl) -> None:
    """Forget everything of an environment; where Redis cannot be told, the log says it."""
    try:
        cache.clear()
    except CacheError as error:
        _log.warning("%s", error)


def _not_told(reason: str) -> CacheError:
    return CacheError(
        f"forgotten in this process only, Redis cannot be told ({reason}): other processes follow within their "
        "cache_ttl_seconds, or repeat this when Redis is back"
    )
