"""IRS limits by year."""

from __future__ import annotations

from bluestar_store.models.indexes import BY_LEVEL
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.protocols import key_of
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.finder import Finder


class IrsLimitsByYear(Repository[IrsLimits]):
    """Items of the table irs-limits."""

    def __init__(self, access: Access, finder: Finder) -> None:
        super().__init__(access, IRS_LIMITS)
        self._finder = finder

    def get(self, year: int, *, fresh: bool = False) -> IrsLimits:
        """The limits of a year, in dollars. Raises LimitsNotFoundError; no other year is ever given instead."""
        if type(year) is not int:  # 2026.0 would find what is cached of 2026
            self._kind.keys.build({"year": year})
        limits = self._first((year,), fresh=fresh)
        if limits is None:
            raise self._missing(f"no limits for {year}")
        return limits

    def all(self) -> tuple[IrsLimits, ...]:
        """The limits of every year there is, ascending; read consistently."""
        keys = map(key_of, self._finder.find(self._kind, BY_LEVEL, self._kind.name))
        found = map(self._decode, self._finder.stored(self._kind, keys).values())
        return tuple(sorted(found, key=lambda limits: limits.year))
