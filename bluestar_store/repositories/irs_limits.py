"""IRS limits by year."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bluestar_store.deprecation import renamed
from bluestar_store.mapping.indexes import BY_LEVEL
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.protocols import key_of
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.open_store import OpenStore


class IrsLimitsRepository(Repository[IrsLimits]):
    """Items of the table irs-limits."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, IRS_LIMITS)
        self._index_reader = store.index_reader

    def get(self, year: int, *, fresh: bool = False) -> IrsLimits:
        """The limits of a year, in dollars. Raises LimitsNotFoundError; no other year is ever given instead."""
        if type(year) is not int:  # 2026.0 would find what is cached of 2026
            self._mapper.keys.build({"year": year})
        limits = self.first((year,), fresh=fresh)
        if limits is None:
            raise self.not_found(f"no limits for {year}")
        return limits

    def reads_of(self, plan_id: str, stored: Sequence[IrsLimits]) -> Iterator[Callable[[], object]]:
        """See Reader: of every year."""
        yield from (partial(self.get, limits.year) for limits in self.all())

    def all(self) -> tuple[IrsLimits, ...]:
        """The limits of every year there is, ascending; read consistently."""
        session = self._sessions.current()
        keys = map(key_of, self._index_reader.find(session, self._mapper, BY_LEVEL, self._mapper.name))
        found = map(self._decode, self._index_reader.stored(session, self._mapper, keys).values())
        return tuple(sorted(found, key=lambda limits: limits.year))


__getattr__ = renamed(__name__, {"IrsLimitsByYear": f"{__name__}:IrsLimitsRepository"})  # for one release
