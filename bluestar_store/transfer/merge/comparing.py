"""Writes items into tables in use: each is compared with the stored one, and written if that is unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bluestar_store.engines.checks import MAX_ISOLATED_KEYS
from bluestar_store.engines.conditions import found_version
from bluestar_store.errors import ConflictError, InvalidWriteError
from bluestar_store.keys import Key
from bluestar_store.protocols import (
    ABSENT,
    VERSION,
    Check,
    Delete,
    Engine,
    Expectation,
    Item,
    Put,
    Update,
    Write,
    key_of,
)
from bluestar_store.protocols.items import chunks
from bluestar_store.repositories.revisions import without_moves
from bluestar_store.transfer.files import line_of
from bluestar_store.transfer.layout import TableMap, TransferStore
from bluestar_store.transfer.merge.aggregates import Aggregate, Place, Placed, not_to_write, place_of

COMPARED_ITEMS = 100
"""Items read, compared and written together: one BatchGetItem and one transaction (AWS limits)."""
MAX_KEYS = 1000
"""Keys of items left alone that a report keeps."""
ATTEMPTS = 5
"""Tries of items that others change at the same time."""


@dataclass(frozen=True)
class ImportReport:
    """The outcome of a merge. `left_alone`: they differ in the target; the first of their tables and keys.

    `resumed`: items that an interrupted run had brought in before.
    """

    written: int = 0
    same: int = 0
    overwritten: int = 0
    left_alone: int = 0
    left_alone_keys: tuple[tuple[str, Key], ...] = ()
    resumed: int = 0

    def __add__(self, other: ImportReport) -> ImportReport:
        return ImportReport(
            self.written + other.written,
            self.same + other.same,
            self.overwritten + other.overwritten,
            self.left_alone + other.left_alone,
            (self.left_alone_keys + other.left_alone_keys)[:MAX_KEYS],
            self.resumed + other.resumed,
        )


def write_compared(
    target: TransferStore,
    table_map: TableMap,
    table: str,
    items: Iterable[Item],
    *,
    overwrite: bool = False,
    before_write: Callable[[], None] = lambda: None,
) -> ImportReport:
    """Compare at most a hundred items of one table with the target's, and write what may be written, conditionally.

    Items of aggregates that the target has begun are left alone: see `not_to_write`; a merge writes aggregates by
    `AggregateMerge` instead. `before_write` is called before anything is written.
    What overwrites an item at version n gets version n + 1 unless its own is higher: whoever read that item before
    has to see a change. What differs in a lower version only is therefore the same: an earlier run may have raised it.
    """
    on_disk = table_map.on_disk(table)
    pending = {key_of(item): item for item in items}
    report = ImportReport()
    for attempt in range(ATTEMPTS):
        stored = stored_of(target.engine, on_disk, pending, isolated=bool(attempt))
        barred = not_to_write(target.engine, table, on_disk, pending, stored)
        puts = []
        for key, item in pending.items():
            found = stored.get(key)
            if key in barred and (found is None or line_of(found) != line_of(item)):
                report += left_alone(table, key)
                continue
            match compared(table_map, table, item, found, overwrite=overwrite):
                case Put() as put:
                    puts.append(put)
                case report_of_one:
                    report += report_of_one
        if puts:
            before_write()
        lost = _write(target, puts)
        pending = {put.key: pending[put.key] for put in lost}
        for put in puts:
            if put.key not in pending:
                report += ImportReport(written=1) if put.expect is ABSENT else ImportReport(overwritten=1)
        if not pending:
            return report
    raise ConflictError(f"{lost[0].table}: {lost[0].key}: others keep writing it; import again when they are done")


def compared(table_map: TableMap, table: str, item: Item, found: Item | None, *, overwrite: bool) -> Put | ImportReport:
    """The write of an item where the target has `found`; or what became of it, when there is nothing to write."""
    on_disk = table_map.on_disk(table)
    if found is None:
        return Put(on_disk, item, ABSENT)
    version = checkable_version(found) if overwrite and table_map.belongs(table, found) else None
    if line_of(found) in (line_of(item), line_of(item if version is None else _at_least(version, item))):
        return ImportReport(same=1)
    if version is None:
        return left_alone(table, key_of(item))
    return Put(on_disk, _at_least(version + 1 if version else 0, item), version)


def left_alone(table: str, key: Key) -> ImportReport:
    """One item that differs in the target and stays so."""
    return ImportReport(left_alone=1, left_alone_keys=((table, key),))


def checkable_version(item: Item) -> int | None:
    """The version that a write can expect; None for one that no condition can check."""
    version = found_version(item)
    return None if version == -1 or (version == 0 and VERSION in item) else version


def _at_least(version: int, item: Item) -> Item:
    """The item, its version raised to this one if it is lower; one that no condition can check stays as it is."""
    own = found_version(item)
    return item if own is None or own == -1 or own >= version else item | {VERSION: {"N": str(version)}}


def stored_of(engine: Engine, on_disk: str, keys: Iterable[Key], *, isolated: bool) -> dict[Key, Item]:
    """What a table has of these keys; `isolated`: read isolated, so that no transaction of late is overlooked."""
    found: dict[Key, Item] = {}
    for some in chunks(keys, MAX_ISOLATED_KEYS):
        found |= engine.get_isolated(on_disk, some) if isolated else engine.get(on_disk, some, consistent=True)
    return {key: without_moves(item) for key, item in found.items()}


def _write(target: TransferStore, puts: Sequence[Put]) -> list[Put]:
    """Write all; gives back those that others were faster with. Together when possible, else in halves."""
    try:
        target.revisions.send(target.engine, {(put.table, put.key): put for put in puts})
    except (ConflictError, InvalidWriteError) as error:  # the latter for items of more than 4 MB together
        if len(puts) > 1:
            half = len(puts) // 2
            return _write(target, puts[:half]) + _write(target, puts[half:])
        if isinstance(error, InvalidWriteError):
            raise
        return list(puts)
    return []


class MergePlan:
    """The writes of one aggregate, and what has become of its items once they are carried out."""

    def __init__(self, aggregate: Aggregate, table_map: TableMap) -> None:
        self.aggregate, self._table_map = aggregate, table_map
        self.writes: dict[Place, Write] = {}
        self.report = ImportReport()

    def put(self, placed: Placed, put: Put) -> None:
        """Write an item."""
        self.writes[place_of(placed)] = put
        self.report += ImportReport(written=1) if put.expect is ABSENT else ImportReport(overwritten=1)

    def add(self, placed: Placed, *, over: bool = False) -> None:
        """Write an item that is not there; `over`: over one that only says what transactions wrote of late."""
        table, item = placed
        on_disk, key = self._table_map.on_disk(table), key_of(item)
        attributes = {name: value for name, value in item.items() if name not in ("PK", "SK")}
        self.writes[table, key] = Update(on_disk, key, attributes, expect=0) if over else Put(on_disk, item, ABSENT)
        self.report += ImportReport(written=1)

    def check(self, place: Place, expect: Expectation) -> None:
        """A condition on an item that the plan does not write anyway."""
        table, key = place
        self.writes.setdefault(place, Check(self._table_map.on_disk(table), key, expect))

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
        """Delete what an earlier part of this merge brought in for an aggregate that others have begun since."""
        own = checkable_version(found) if found is not None and line_of(found) == line_of(placed[1]) else None
        if own is None:
            self.leave(placed, found)
            return
        table, key = place_of(placed)
        self.writes[table, key] = Delete(self._table_map.on_disk(table), key, own)
        self.report += left_alone(table, key)
