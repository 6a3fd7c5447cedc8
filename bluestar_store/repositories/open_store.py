"""What repositories are made of, as far as that is more than sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bluestar_store.repositories.sessions import HasSessions

if TYPE_CHECKING:
    from bluestar_store.cache import CacheControl
    from bluestar_store.repositories.index_reader import IndexReader
    from bluestar_store.repositories.snapshot import Snapshots


class OpenStore(HasSessions, Protocol):
    """The part of a Store that repositories use."""

    @property
    def index_reader(self) -> IndexReader:
        """Finds items by the library's indexes."""
        ...

    @property
    def snapshots(self) -> Snapshots:
        """Reads all that a batch of a plan needs."""
        ...

    @property
    def cache(self) -> CacheControl:
        """Calls on the cache itself: statistics, invalidation."""
        ...
