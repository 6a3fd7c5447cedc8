"""An engine in memory that answers as badly as AWS may: DynamoDB Local is far kinder, and a green suite proves little.

What AWS allows and no emulator shows:
- a transaction's items become visible to BatchGetItem, Query and Scan one by one, in any order, consistent or not;
- an index follows its table some time later, item by item;
- a read that did not ask for consistency may give any item as it was a short time ago, and go back in time.
What AWS promises is kept: a write's conditions see what is committed; a GetItem and a TransactGetItems see each
transaction whole; an item whose next write was committed has its earlier one visible; no item goes back in time
for consistent reads.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sortedcontainers import SortedDict

from bluestar_store.engines.checks import check_keys, checked_places
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.memory.tables import Image, ItemTables, Table
from bluestar_store.keys import Key
from bluestar_store.protocols import BeforeAttempt, Item, Page, Write

SPREAD = 8.0
"""Calls, or seconds of the given clock: below the 10 seconds that the library reckons with."""


class Place(NamedTuple):
    """Which item of which table."""

    table: str
    key: Key


class View:
    """The items as some reads see them: each image is taken over when it is due, those of one item in order."""

    def __init__(self, location: str) -> None:
        self.items = ItemTables(location)
        self.waiting: dict[Place, deque[tuple[float, Image]]] = {}

    def expect(self, image: Image, due: float) -> None:
        """Take it over then."""
        self.waiting.setdefault(Place(image.table, image.key), deque()).append((due, image))

    def catch_up(self, now: float) -> None:
        """Take over what is due."""
        for place, images in list(self.waiting.items()):
            while images and images[0][0] <= now:
                self.items.apply([images.popleft()[1]])
            if not images:
                del self.waiting[place]

    def show(self, place: Place) -> None:
        """Take over all that waits for an item."""
        self.items.apply(image for _, image in self.waiting.pop(place, ()))

    def keep_table(self, table: Table) -> None:
        """Take over a new specification, with the items that are here already."""
        known = self.items.tables.get(table.spec.name)
        self.items.tables[table.spec.name] = Table(table.spec, known.partitions if known else SortedDict())

    def drop_table(self, name: str) -> None:
        """Forget a table and what waits for it."""
        self.items.tables.pop(name, None)
        self.waiting = {place: images for place, images in self.waiting.items() if place.table != name}


class AdversarialEngine(MemoryEngine):
    """See above. Everything is drawn from `seed`: in one thread the same calls have the same answers.

    `now` tells the time in which the spreads are counted, say a FrozenClock's `monotonic`; without it they are counted
    in reads of this engine. `spread` is how long a transaction's items take at most to become visible, `index_spread`
    how far an index is behind, `eventual_spread` how old eventually consistent answers are; 0: not at all, `math.inf`:
    until the test says `show` or `settle`.

    A write returns at once, its items to be seen later. With `settled` they are visible when it returns; other
    threads see them come one by one.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        now: Callable[[], float] | None = None,
        spread: float = SPREAD,
        index_spread: float = SPREAD,
        eventual_spread: float = SPREAD,
        settled: bool = False,
    ) -> None:
        super().__init__()
        self._random, self._reads, self._settled = random.Random(seed), 0, settled
        self._now = now or (lambda: float(self._reads))
        self._spread, self._index_spread, self._eventual_spread = spread, index_spread, eventual_spread
        self._shown: ItemTables | None = None
        self._seen, self._indexed = View(self.location), View(self.location)
        self._past: dict[Place, list[tuple[float, Item | None]]] = {}

    @property
    def location(self) -> str:
        """Where the items are."""
        return "an adversary's memory"

    # ------------------------------------------------------------------------------------------------ for the test

    @property
    def pending(self) -> list[Place]:
        """The items whose last write is committed and not yet visible, oldest first."""
        with self._lock:
            return list(self._seen.waiting)

    def show(self, place: Place) -> None:
        """Make an item visible as it is committed."""
        with self._lock:
            self._seen.show(place)

    def index(self) -> None:
        """Let the indexes show everything as it is committed."""
        with self._lock:
            self._indexed.catch_up(math.inf)

    def settle(self) -> None:
        """Make everything visible as it is committed, in indexes and to eventually consistent reads too."""
        with self._lock:
            for view in (self._seen, self._indexed):
                view.catch_up(math.inf)
            self._past.clear()

    # ------------------------------------------------------------------------------------------------------- reads

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `protocols.Engine`: one key is a GetItem, more are a BatchGetItem."""
        wanted = check_keys(table, keys)
        with self._turn():
            items = self._items if len(wanted) == 1 else self._seen.items
            return self._as_asked(items, table, consistent=consistent).get(table, wanted)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        with self._turn():
            return super().get_isolated(table, keys)

    def query(
        self, table: str, *asked: Any, index: str | None = None, consistent: bool = False, **options: Any
    ) -> Page:
        """See `protocols.Engine`."""
        with self._turn():
            seen = self._indexed.items
            if index is None:
                seen = self._as_asked(self._seen.items, table, consistent=consistent)
            with self._showing(seen):
                return super().query(table, *asked, index=index, **options)

    def scan(self, table: str, *, consistent: bool = False, **options: Any) -> Page:
        """See `protocols.Engine`."""
        with self._turn(), self._showing(self._as_asked(self._seen.items, table, consistent=consistent)):
            return super().scan(table, **options)

    @contextmanager
    def _reading(self) -> Iterator[ItemTables]:
        with self._lock:
            yield self._items if self._shown is None else self._shown

    @contextmanager
    def _showing(self, items: ItemTables) -> Iterator[None]:
        """Let a read of this thread, which holds the lock, see these."""
        self._shown = items
        try:
            yield
        finally:
            self._shown = None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Time passes with each read; around it."""
        with self._lock:
            self._reads += 1
            now = self._now()
            for view in (self._seen, self._indexed):
                view.catch_up(now)
            for place, states in list(self._past.items()):
                self._past[place] = [state for state in states if state[0] >= now]
                if not self._past[place]:
                    del self._past[place]
            yield

    def _as_asked(self, items: ItemTables, name: str, *, consistent: bool) -> ItemTables:
        """These, or with some of one table's items as they were shortly before."""
        past = [] if consistent else [(place, states) for place, states in self._past.items() if place.table == name]
        if not past:
            return items
        table = items.table(name).copy()
        for place, states in past:
            if self._random.random() < 0.5:
                table.set(place.key, self._random.choice(states)[1])
        earlier = ItemTables(self.location)
        earlier.tables[name] = table
        return earlier

    # ------------------------------------------------------------------------------------------------------ writes

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See `protocols.Engine`: a write of one item is no transaction."""
        ready = checked_places(writes)
        with self._writing() as items:
            if before_attempt is not None:
                before_attempt()
            images = items.resolve(ready)
            self._take_over(images, self._spread if len(images) > 1 else 0)
        if self._settled:
            for image in self._random.sample(images, len(images)):
                time.sleep(0)  # lets other threads read
                self.show(Place(image.table, image.key))

    def _commit(self, images: Sequence[Image]) -> None:
        """Of `put_many`, which writes each item for itself."""
        self._take_over(images, 0)

    def _take_over(self, images: Sequence[Image], spread: float) -> None:
        now = self._now()
        for image in images:
            place = Place(image.table, image.key)
            if self._eventual_spread:
                before = self._items.table(image.table).get(image.key)
                self._past.setdefault(place, []).append((now + self._eventual_spread, before))
            self._seen.show(place)
            self._seen.expect(image, self._due(now, spread))
            # An index never shows an item's earlier write after its later one.
            waiting = self._indexed.waiting.get(place)
            self._indexed.expect(image, max(self._due(now, self._index_spread), waiting[-1][0] if waiting else now))
        self._items.apply(images)
        for view in (self._seen, self._indexed):
            view.catch_up(now)

    def _due(self, now: float, spread: float) -> float:
        return now + spread * (1 - self._random.random())  # never at once, unless the spread is 0

    def _keep_table(self, table: Table) -> None:
        super()._keep_table(table)
        for view in (self._seen, self._indexed):
            view.keep_table(table)

    def delete_tables(self, names: Sequence[str]) -> None:
        """See `protocols.Engine`."""
        with self._writing():
            super().delete_tables(names)
            for name in names:
                for view in (self._seen, self._indexed):
                    view.drop_table(name)
                self._past = {place: states for place, states in self._past.items() if place.table != name}
