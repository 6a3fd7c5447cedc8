"""Writing aggregates into tables in use: each in one transaction, or its root last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bluestar_store.engines.checks import MAX_TRANSACTION_BYTES, MAX_WRITES, item_bytes
from bluestar_store.errors import ConflictError
from bluestar_store.keys import Key
from bluestar_store.models.merge_marks import merge_marks
from bluestar_store.protocols import Delete, Item, Put, key_of
from bluestar_store.repositories.revisions import says_nothing_else
from bluestar_store.transfer.files import ExportedPartition
from bluestar_store.transfer.layout import TableMap, TransferStore
from bluestar_store.transfer.merge.aggregates import (
    CHAIN,
    Aggregate,
    Place,
    Placed,
    heads_of,
    is_chained,
    is_of_batch,
    is_step,
    place_of,
    root_of,
    roots_in,
)
from bluestar_store.transfer.merge.batches import compared, has_others, is_written_with_heads
from bluestar_store.transfer.merge.comparing import ATTEMPTS, ImportReport, MergePlan, left_alone
from bluestar_store.transfer.merge.plans import MergePlanner

MOST_ITEMS, MOST_BYTES = MAX_WRITES - 3, MAX_TRANSACTION_BYTES - 64 * 1024
"""Of an aggregate that is written in one transaction: conditions on its roots go with it."""


@dataclass(frozen=True)
class ExportedAggregate:
    """The partitions of an export that make up an aggregate. It can be iterated again and again."""

    partitions: tuple[ExportedPartition, ...]
    table_map: TableMap

    def __iter__(self) -> Iterator[Placed]:
        for partition in self.partitions:
            for item in partition:
                yield partition.table, self.table_map.incoming(partition.table, key_of(item), item)

    @property
    def count(self) -> int:
        """How many items there are."""
        return sum(partition.count for partition in self.partitions)

    @property
    def is_small(self) -> bool:
        """Whether one transaction takes it."""
        return self.count <= MOST_ITEMS and sum(item_bytes(item) for _, item in self) <= MOST_BYTES


class AggregateMerge:
    """Brings aggregates into one target. Safe for threads."""

    def __init__(
        self,
        target: TransferStore,
        table_map: TableMap,
        *,
        overwrite: bool,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine, self._table_map, self._before_write = target.engine, table_map, before_write
        self._revisions = target.revisions
        self._planner = MergePlanner(target, table_map, overwrite=overwrite)

    def merge(self, aggregates: Sequence[ExportedAggregate]) -> ImportReport:
        """Bring in some aggregates, small ones together."""
        report = self.write([Aggregate.of(aggregate) for aggregate in aggregates if aggregate.is_small])
        return sum((self.write_large(aggregate) for aggregate in aggregates if not aggregate.is_small), report)

    def write(self, aggregates: Iterable[Aggregate]) -> ImportReport:
        """Bring in aggregates that fit a transaction each, several to a transaction where others do not interfere."""
        pending, report = list(aggregates), ImportReport()
        for attempt in range(ATTEMPTS):
            plans = self._planner.plans(pending, isolated=bool(attempt))
            to_write = [plan for plan in plans if plan.writes]
            if to_write:
                self._before_write()
            lost = self._write(to_write)
            pending = [plan.aggregate for plan in lost]
            report = sum((plan.report for plan in plans if plan not in lost), report)
            if not pending:
                return report
        place = place_of(pending[0].items[0])
        raise ConflictError(f"{place[0]}: {place[1]}: others keep writing it; import again when they are done")

    def write_large(self, items: Iterable[Placed]) -> ImportReport:
        """Bring in what is too large for one transaction; `items` is gone through several times.

        Its trail, its batch or pipeline, and what belongs to neither, one after the other.
        """
        roots = roots_in(items)
        of_heads = (root_of((table, item)) for (table, _), item in roots.items())
        tops = dict.fromkeys(root for root in of_heads if root is not None)
        report = self._in_parts((one for one in items if root_of(one) not in tops), roots)
        for root in tops:
            if is_of_batch(root):
                report += self._batch(root, items, roots)
            else:
                report += self._trail(root, items, roots)
        return report

    def _trail(self, root: Place, items: Iterable[Placed], roots: Mapping[Place, Item]) -> ImportReport:
        """What one transaction does not take goes before the rest, on condition that there is no root."""
        together, first = _together(root, items), partial(self._before_the_root, root, items, roots)
        report = first()
        if report.left_alone and not self._is_there(root):  # what lies there is another's, and no aggregate either
            return sum((left_alone(*place_of(one)) for one in together), report)
        last = self.write([Aggregate(together, roots, is_part=True)])
        if last.left_alone and report.written:  # others have begun it meanwhile: what went first is taken back
            report = first()
        return report + last

    def _batch(self, root: Place, items: Iterable[Placed], roots: Mapping[Place, Item]) -> ImportReport:
        """The same for a batch; while it is brought in, marks tell readers so: see `merge_marks`."""
        (table, key), together = root, _together(root, items)
        on_disk, marks = self._table_map.on_disk(table), merge_marks(key.pk)
        first = partial(self._before_the_root, root, items, roots)
        was_begun, is_new = self._is_there((table, marks[0])), not self._has_heads(root)

        def has_others_than(*known: Key, ours: Iterable[Placed] = items) -> bool:
            partition = (one for one in ours if root_of(one) == root)
            return has_others(self._engine, on_disk, key.pk, compared(partition, known))

        takes_back = was_begun or not has_others_than(ours=())
        if not takes_back and is_new and has_others_than():  # another's records, without a batch
            return sum((left_alone(*place_of(one)) for one in items if root_of(one) == root), ImportReport())
        for mark in marks if is_new else ():  # each for itself: what is no transaction is seen at once
            self._engine.write(Put(on_disk, {"PK": {"S": mark.pk}, "SK": {"S": mark.sk}}))
        report = first()
        is_left = bool(report.left_alone) or (is_new and has_others_than(*marks))
        if not is_left:
            last = self.write([Aggregate(together, roots, is_part=True)])
            report, is_left = report + last, bool(last.left_alone)
        if is_left:  # it is another's: what went first is taken back
            report = first(back=takes_back) + self.write([Aggregate(together, roots, is_part=True, back=takes_back)])
        if not (is_left and was_begun) or self._has_heads(root):  # else another merge has begun, and is not done yet
            for mark in reversed(marks if is_new or was_begun else ()):  # the first one tells of both
                self._engine.write(Delete(on_disk, mark))
        return report

    def _before_the_root(
        self, root: Place, items: Iterable[Placed], roots: Mapping[Place, Item], *, back: bool = False
    ) -> ImportReport:
        places = {place_of(one) for one in _together(root, items)}
        before = (one for one in items if root_of(one) == root and place_of(one) not in places)
        return self._in_parts(before, roots, back=back)

    def _in_parts(self, items: Iterable[Placed], roots: Mapping[Place, Item], *, back: bool = False) -> ImportReport:
        parts = (Aggregate(part, roots, is_part=True, back=back) for part in _parts(items))
        return sum((self.write([part]) for part in parts), ImportReport())

    def _is_there(self, place: Place) -> bool:
        table, key = place
        return bool(self._engine.get(self._table_map.on_disk(table), [key], consistent=True))

    def _has_heads(self, root: Place) -> bool:
        """Whether there is a batch, or its trail."""
        table, _ = root
        found = self._engine.get(self._table_map.on_disk(table), [key for _, key in heads_of(root)], consistent=True)
        return any(key.sk != CHAIN or not says_nothing_else(item) for key, item in found.items())

    def _write(self, plans: Sequence[MergePlan]) -> list[MergePlan]:
        """Write all; gives back those that others were faster with."""
        lost: list[MergePlan] = []
        for together in _transactions(plans):
            try:
                writes = (write for plan in together for write in plan.writes.values())
                self._revisions.send(self._engine, {(write.table, write.key): write for write in writes})
            except ConflictError:
                lost += [plan for one in together for plan in self._write([one])] if len(together) > 1 else together
        return lost


def _together(root: Place, items: Iterable[Placed]) -> tuple[Placed, ...]:
    """Of an aggregate, what is written with its root: itself, what others would begin with, and of the rest what fits.

    So they can begin as if nothing were there. And a trail without its first entry is none yet, for readers. Records
    come before entries: a claim that is there already would be in the way of who begins.
    """
    needed, records, entries = list[Placed](), list[Placed](), list[Placed]()
    for placed in items:
        if root_of(placed) != root:
            continue
        kept = needed if is_step(placed) or is_written_with_heads(placed) else records
        if kept is records and is_chained(placed):
            kept = entries
        if kept is needed or len(kept) < MOST_ITEMS:
            kept.append(placed)
    count, size = len(needed), sum(item_bytes(item) for _, item in needed)
    fitting = list[Placed]()
    for placed in (*records, *entries):
        count, size = count + 1, size + item_bytes(placed[1])
        if count > MOST_ITEMS or size > MOST_BYTES:
            break
        fitting.append(placed)
    return (*needed, *fitting)


def _parts(items: Iterable[Placed]) -> Iterator[tuple[Placed, ...]]:
    """The items in portions that fit a transaction."""
    part, size = list[Placed](), 0
    for placed in items:
        weight = item_bytes(placed[1])
        if part and (len(part) == MOST_ITEMS or size + weight > MOST_BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(placed)
        size += weight
    if part:
        yield tuple(part)


def _transactions(plans: Iterable[MergePlan]) -> Iterator[list[MergePlan]]:
    """As many plans as fit, transaction after transaction."""
    together, count, size = list[MergePlan](), 0, 0
    for plan in plans:
        weight = sum(item_bytes(write.item) for write in plan.writes.values() if isinstance(write, Put))
        if together and (count + len(plan.writes) > MAX_WRITES or size + weight > MOST_BYTES):
            yield together
            together, count, size = [], 0, 0
        together.append(plan)
        count += len(plan.writes)
        size += weight
    if together:
        yield together
