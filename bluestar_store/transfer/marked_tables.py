"""Tables that are marked as indexed, and are to get items as other programs wrote them."""

from __future__ import annotations

from bluestar_store.protocols import Item
from bluestar_store.repositories.upgrade import indexed_kinds, missing
from bluestar_store.transfer.routes import Place, Routes


class Unmarked:
    """The marked tables of a target that are to get items without index attributes, which items are shown to it.

    Their marks are taken back before anything is written: lists would miss those items.
    """

    def __init__(self, target: Place, routes: Routes) -> None:
        self._target, self._routes = target, routes
        target.index_marks.forget()
        marked = target.index_marks.current()
        self._kinds = {name: kinds for name, kinds in indexed_kinds(target.tables).items() if name in marked}
        self._lacking: set[str] = set()

    def look(self, table: str, item: Item) -> None:
        """Look at one item that is to come, of a table by its name without prefix."""
        name = self._routes.on_disk(table)
        if name in self._kinds and name not in self._lacking and missing(name, self._kinds[name], item) is not None:
            self._lacking.add(name)

    def distrust(self) -> None:
        """Take back the marks. Raises what `Engine.write` raises."""
        for table in sorted(self._lacking):
            self._target.index_marks.distrust(table)
            del self._kinds[table]
        self._lacking.clear()
