"""The writes of one whole."""

from __future__ import annotations

from bluestar_store.protocols import ABSENT, Check, Delete, Expectation, Item, Put, Update, Write, key_of
from bluestar_store.transfer.merging import ImportReport, checkable_version, left_alone
from bluestar_store.transfer.routes import Routes
from bluestar_store.transfer.transfer_files import line_of
from bluestar_store.transfer.wholes import Place, Placed, Whole, place_of


class Plan:
    """The writes of one whole, and what has become of its items once they are carried out."""

    def __init__(self, whole: Whole, routes: Routes) -> None:
        self.whole, self._routes = whole, routes
        self.writes: dict[Place, Write] = {}
        self.report = ImportReport()

    def put(self, placed: Placed, put: Put) -> None:
        """Write an item."""
        self.writes[place_of(placed)] = put
        self.report += ImportReport(written=1) if put.expect is ABSENT else ImportReport(overwritten=1)

    def add(self, placed: Placed, *, over: bool = False) -> None:
        """Write an item that is not there; `over`: over one that only says what transactions wrote of late."""
        table, item = placed
        on_disk, key = self._routes.on_disk(table), key_of(item)
        attributes = {name: value for name, value in item.items() if name not in ("PK", "SK")}
        self.writes[table, key] = Update(on_disk, key, attributes, expect=0) if over else Put(on_disk, item, ABSENT)
        self.report += ImportReport(written=1)

    def check(self, place: Place, expect: Expectation) -> None:
        """A condition on an item that the plan does not write anyway."""
        table, key = place
        self.writes.setdefault(place, Check(self._routes.on_disk(table), key, expect))

    def same(self) -> None:
        """An item is there as it is."""
        self.report += ImportReport(same=1)

    def leave(self, placed: Placed, found: Item | None) -> None:
        """Leave what there is in an item's place."""
        table, item = placed
        if found is not None and line_of(found) == line_of(item):
            self.same()
        else:
            self.report += left_alone(table, key_of(item))

    def take_back(self, placed: Placed, found: Item | None) -> None:
        """Delete what an earlier part of this merge brought in for a whole that others have begun since."""
        own = checkable_version(found) if found is not None and line_of(found) == line_of(placed[1]) else None
        if own is None:
            self.leave(placed, found)
            return
        table, key = place_of(placed)
        self.writes[table, key] = Delete(self._routes.on_disk(table), key, own)
        self.report += left_alone(table, key)
