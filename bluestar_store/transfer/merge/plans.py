"""What a merge writes of an aggregate, given what the target has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION, step_count
from bluestar_store.protocols import (
    ABSENT,
    VERSION,
    Item,
    Put,
    Update,
    key_of,
    pages,
)
from bluestar_store.repositories.trail import STEP_COUNT
from bluestar_store.transfer.files import line_of
from bluestar_store.transfer.layout import TableMap, TransferStore
from bluestar_store.transfer.merge.aggregates import (
    METADATA,
    PIPELINES,
    Aggregate,
    Place,
    Placed,
    end_of,
    is_chained,
    is_of_batch,
    is_step,
    is_work,
    number_of,
    place_of,
    root_of,
)
from bluestar_store.transfer.merge.batches import BatchPlan
from bluestar_store.transfer.merge.comparing import MergePlan, checkable_version, compared, stored_of


class MergePlanner:
    """Plans for one target. What it reads may be old when the plan is carried out: each write has its condition."""

    def __init__(self, target: TransferStore, table_map: TableMap, *, overwrite: bool) -> None:
        self._engine, self._table_map, self._overwrite = target.engine, table_map, overwrite

    def plans(self, aggregates: Sequence[Aggregate], *, isolated: bool = False) -> list[MergePlan]:
        """The writes of each aggregate, given the target's current items; `isolated`: see `stored_of`."""
        keys: dict[str, dict[Key, None]] = {
            METADATA: {},
            PIPELINES: {},
        }  # heads before steps: a replacement changes both
        for aggregate in aggregates:
            for table, key in aggregate.places():
                keys[table][key] = None
        stored = {
            (table, key): item
            for table, wanted in keys.items()
            for key, item in stored_of(self._engine, self._table_map.on_disk(table), wanted, isolated=isolated).items()
        }
        return [self._plan(aggregate, stored) for aggregate in aggregates]

    def _plan(self, aggregate: Aggregate, stored: Mapping[Place, Item]) -> MergePlan:
        plan, parts = MergePlan(aggregate, self._table_map), defaultdict[Place | None, list[Placed]](list)
        steps: list[Placed] = []
        for placed in aggregate.items:
            if is_step(placed):
                steps.append(placed)
            else:
                parts[root_of(placed)].append(placed)
        for root, items in parts.items():
            one_by_one = partial(self._one_by_one, stored=stored, overwrite=self._overwrite)
            if root is not None and is_of_batch(root):
                batch = BatchPlan(plan, root, items, stored, one_by_one)
                batch.make(self._engine, self._table_map.on_disk(METADATA))
            elif root is None or (root not in aggregate.roots and root not in stored):
                one_by_one(plan, items)
            elif root not in stored:
                self._take(plan, root, items, stored)
            else:
                self._go_on_with_trail(plan, root, items, stored)
        if steps:
            self._steps(plan, steps, stored)
        return plan

    def _one_by_one(
        self, plan: MergePlan, items: Iterable[Placed], stored: Mapping[Place, Item], overwrite: bool
    ) -> None:
        for placed in items:
            found, (table, item) = stored.get(place_of(placed)), placed
            overwrites = overwrite and not is_work(place_of(placed))
            match compared(self._table_map, table, item, found, overwrite=overwrites):
                case Put() as put:
                    plan.put(placed, put)
                case report:
                    plan.report += report

    def _take(self, plan: MergePlan, root: Place, items: Sequence[Placed], stored: Mapping[Place, Item]) -> None:
        """All of it, on condition that there is no root; nothing where others have left something else there."""
        if any(line_of(stored.get(place_of(one), one[1])) != line_of(one[1]) for one in items):
            for placed in items:
                plan.leave(placed, stored.get(place_of(placed)))
            return
        plan.check(root, ABSENT)  # where the root is not among them: see Aggregate
        for placed in items:
            if place_of(placed) in stored:
                plan.same()
            else:
                plan.add(placed)

    def _go_on_with_trail(
        self, plan: MergePlan, root: Place, items: Iterable[Placed], stored: Mapping[Place, Item]
    ) -> None:
        """The target's trail stays; of its entries those are added that its head knows of and that are not there."""
        head = stored[root]
        version, end = checkable_version(head), end_of(head)
        firsts = [(item, stored.get(place)) for place, item in plan.aggregate.roots.items() if place[1] == _first(root)]
        is_another = any(there is not None and there.get("hash") != ours.get("hash") for ours, there in firsts)
        for placed in items:
            place = place_of(placed)
            found, is_entry = stored.get(place), is_chained(placed)
            if found is None and is_entry and version is not None and 1 <= number_of(placed) <= end:
                plan.check(root, version)
                plan.add(placed)
                continue
            if is_entry and is_another and number_of(placed) > end:
                self._take_back(plan, root, version, placed, found)
            else:
                plan.leave(placed, found)

    def _take_back(self, plan: MergePlan, root: Place, version: int | None, placed: Placed, found: Item | None) -> None:
        """Delete what an earlier part of this merge brought in for a trail that others have begun since."""
        if version is None:
            plan.leave(placed, found)
            return
        plan.check(root, version)
        plan.take_back(placed, found)

    def _steps(self, plan: MergePlan, steps: Sequence[Placed], stored: Mapping[Place, Item]) -> None:
        """A pipeline where there is none; of one of the same revision the steps that are missing."""
        root = root_of(steps[0])
        if root is None:
            self._one_by_one(plan, steps, stored, overwrite=self._overwrite)
            return
        head = stored.get(root)
        version = ABSENT if head is None else checkable_version(head)
        there = self._steps_there(key_of(steps[0][1]).pk)
        mixed = any(one.get(REVISION) != item.get(REVISION) for one in there for _, item in steps)
        without_head = head is None and root in plan.aggregate.roots and root not in plan.writes
        if version is None or mixed or without_head:
            for placed in steps:
                plan.leave(placed, stored.get(place_of(placed)))
            return
        count = step_count(steps[0][1])
        if isinstance(version, int) and not there and count is not None:
            table, key = root
            longer = {STEP_COUNT: {"N": str(count)}, VERSION: {"N": str(version + 1)}}
            plan.writes[root] = Update(self._table_map.on_disk(table), key, longer, expect=version)
        else:
            plan.check(root, version)
        self._one_by_one(plan, steps, stored, overwrite=self._overwrite)

    def _steps_there(self, pk: str) -> list[Item]:
        on_disk = self._table_map.on_disk(PIPELINES)
        found = pages(lambda after: self._engine.query(on_disk, pk, cursor=after, consistent=True))
        return [item for page in found for item in page if PIPELINE_STEP.owns(item)]


def _first(root: Place) -> Key:
    return Key(root[1].pk, AUDIT_ENTRY.keys.sort.build({"seq": 1}))
