"""Bringing wholes into tables in use: each in one transaction, or its root last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bluestar_store.engines.checks import MAX_TRANSACTION_BYTES, MAX_WRITES, item_bytes
from bluestar_store.errors import ConflictError
from bluestar_store.keys import Key
from bluestar_store.models.merge_marks import merge_marks
from bluestar_store.protocols import Delete, Item, Put, key_of
from bluestar_store.seeding.merging import ATTEMPTS, ImportReport, left_alone
from bluestar_store.seeding.routes import Place as Target
from bluestar_store.seeding.routes import Routes
from bluestar_store.seeding.spans import Span
from bluestar_store.seeding.whole_plans import Plan, Planner
from bluestar_store.seeding.wholes import (
    RULES,
    STATE,
    Place,
    Placed,
    Whole,
    is_first,
    is_step,
    place_of,
    root_of,
    roots_in,
)

MOST_ITEMS, MOST_BYTES = MAX_WRITES - 3, MAX_TRANSACTION_BYTES - 64 * 1024
"""Of a whole that is written in one transaction: conditions on its roots go with it."""


@dataclass(frozen=True)
class Spans:
    """The partitions that make up a whole; to be gone through as often as need be."""

    spans: tuple[Span, ...]
    routes: Routes

    def __iter__(self) -> Iterator[Placed]:
        for span in self.spans:
            for item in span:
                yield span.table, self.routes.incoming(span.table, key_of(item), item)

    @property
    def count(self) -> int:
        """How many items there are."""
        return sum(span.count for span in self.spans)

    @property
    def is_small(self) -> bool:
        """Whether one transaction takes it."""
        return self.count <= MOST_ITEMS and sum(item_bytes(item) for _, item in self) <= MOST_BYTES


class WholeMerge:
    """Brings wholes into one target. Safe for threads."""

    def __init__(
        self, target: Target, routes: Routes, *, overwrite: bool, before_write: Callable[[], None] = lambda: None
    ) -> None:
        self._engine, self._routes, self._before_write = target.engine, routes, before_write
        self._revisions = target.revisions
        self._planner = Planner(target, routes, overwrite=overwrite)

    def bring(self, wholes: Sequence[Spans]) -> ImportReport:
        """Bring in some wholes, small ones together."""
        report = self.settle([Whole.of(whole) for whole in wholes if whole.is_small])
        return sum((self.settle_large(whole) for whole in wholes if not whole.is_small), report)

    def settle(self, wholes: Iterable[Whole]) -> ImportReport:
        """Bring in wholes that fit a transaction each, several to a transaction where others do not interfere."""
        pending, report = list(wholes), ImportReport()
        for attempt in range(ATTEMPTS):
            plans = self._planner.plans(pending, sure=bool(attempt))
            to_write = [plan for plan in plans if plan.writes]
            if to_write:
                self._before_write()
            lost = self._write(to_write)
            pending = [plan.whole for plan in lost]
            report = sum((plan.report for plan in plans if plan not in lost), report)
            if not pending:
                return report
        place = place_of(pending[0].items[0])
        raise ConflictError(f"{place[0]}: {place[1]}: others keep writing it; import again when they are done")

    def settle_large(self, items: Iterable[Placed]) -> ImportReport:
        """Bring in what is too large for one transaction; `items` is gone through several times.

        Its trail, its batch or pipeline, and what belongs to neither, one after the other.
        """
        roots = roots_in(items)
        report = self._in_parts((one for one in items if root_of(one) not in roots), roots)
        for root in roots:
            if root == root_of((root[0], roots[root])):
                report += self._root_last(root, items, roots)
        return report

    def _root_last(self, root: Place, items: Iterable[Placed], roots: Mapping[Place, Item]) -> ImportReport:
        """What one transaction does not take goes before the rest, on condition that there is no root."""
        marks, on_disk = merge_marks(root[1].pk) if root[1].sk == STATE else (), self._routes.on_disk(root[0])
        for key in () if self._is_there(root) else marks:  # each for itself: what is no transaction is seen at once
            self._engine.write(Put(on_disk, {"PK": {"S": key.pk}, "SK": {"S": key.sk}}))
        report = self._brought(root, items, roots)
        for key in marks:
            self._engine.write(Delete(on_disk, key))
        return report

    def _brought(self, root: Place, items: Iterable[Placed], roots: Mapping[Place, Item]) -> ImportReport:
        together = _together(one for one in items if root_of(one) == root)
        places = {place_of(one) for one in together}

        def first() -> ImportReport:
            return self._in_parts((one for one in items if root_of(one) == root and place_of(one) not in places), roots)

        report = first()
        if report.left_alone and not self._is_there(root):  # what lies there is another's, and no whole either
            return sum((left_alone(*place_of(one)) for one in together), report)
        last = self.settle([Whole(together, roots)])
        if last.left_alone and report.written:  # others have begun it meanwhile: what went first is taken back
            report = first()
        return report + last

    def _in_parts(self, items: Iterable[Placed], roots: Mapping[Place, Item]) -> ImportReport:
        return sum((self.settle([Whole(part, roots)]) for part in _parts(items)), ImportReport())

    def _is_there(self, root: Place) -> bool:
        table, key = root
        return bool(self._engine.get(self._routes.on_disk(table), [key], consistent=True))

    def _write(self, plans: Sequence[Plan]) -> list[Plan]:
        """Write all; gives back those that others were faster with."""
        lost: list[Plan] = []
        for together in _transactions(plans):
            try:
                writes = (write for plan in together for write in plan.writes.values())
                self._revisions.send(self._engine, {(write.table, write.key): write for write in writes})
            except ConflictError:
                lost += [plan for one in together for plan in self._write([one])] if len(together) > 1 else together
        return lost


def _together(items: Iterable[Placed]) -> tuple[Placed, ...]:
    """What is written with the root: itself, what others would begin with, and of the rest what fits.

    So they can begin as if nothing were there. And a trail without its first entry is none yet, for readers.
    """
    needed, rest, count, size = list[Placed](), list[Placed](), 0, 0
    for placed in items:
        if is_needed := is_first(placed) or is_step(placed) or place_of(placed) in _begun_with(root_of(placed)):
            needed.append(placed)
        if is_needed or (count < MOST_ITEMS and size < MOST_BYTES):
            count, size = count + 1, size + item_bytes(placed[1])
            if not is_needed:
                rest.append(placed)
    while rest and (len(needed) + len(rest) > MOST_ITEMS or size > MOST_BYTES):
        size -= item_bytes(rest.pop()[1])
    return (*needed, *rest)


def _begun_with(root: Place | None) -> tuple[Place, ...]:
    """A root, and the rules that a batch is started under."""
    return () if root is None else (root, (root[0], Key(root[1].pk, RULES)))


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


def _transactions(plans: Iterable[Plan]) -> Iterator[list[Plan]]:
    """As many plans as fit, transaction after transaction."""
    together, count, size = list[Plan](), 0, 0
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
