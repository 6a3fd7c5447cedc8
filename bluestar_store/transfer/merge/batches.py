"""What a merge writes of a batch, all of whose partition is one aggregate, its trail and its deletion mark included.

Two batches may have the same id: the export's and the target's, or what is left of a deleted one. Then the target's
items stay as they are. The export's batch is written only if the target has nothing there, on that condition.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import ABSENT, EXISTS, Engine, Item, key_of, pages
from bluestar_store.repositories.batch_traces import DELETED
from bluestar_store.repositories.revisions import says_nothing_else
from bluestar_store.transfer.files import line_of
from bluestar_store.transfer.merge.aggregates import (
    CHAIN,
    FREE,
    METADATA,
    RULES,
    STATE,
    Place,
    Placed,
    end_of,
    heads_of,
    is_chained,
    is_first,
    is_head,
    number_of,
    place_of,
)
from bluestar_store.transfer.merge.comparing import MergePlan, checkable_version

NULL = {"NULL": True}


@dataclass(frozen=True)
class Heads:
    """What there is of a batch, on one side: its state, the head and the first entry of its trail, the drop-in's state.

    A head of a trail that is there only as a revision counts as none.
    """

    state: Item | None
    chain: Item | None
    free: Item | None
    first: Item | None

    @classmethod
    def of(cls, root: Place, items: Mapping[Place, Item]) -> Heads:
        """Those among the items."""
        table, key = root
        state, chain, free = (items.get((table, Key(key.pk, sk))) for sk in (STATE, CHAIN, FREE))
        first = items.get((table, Key(key.pk, AUDIT_ENTRY.keys.sort.build({"seq": 1}))))
        return cls(state, None if chain is not None and says_nothing_else(chain) else chain, free, first)

    @property
    def end(self) -> int:
        """How many entries the head of the trail knows of; 0 for one that cannot be read."""
        return 0 if self.chain is None else end_of(self.chain)

    def has_trail_of(self, other: Heads) -> bool:
        """Whether both have a trail, and it is the same, however long."""
        if self.chain is None or other.chain is None:
            return False
        if self.first is not None and other.first is not None:
            return self.first.get("hash") == other.first.get("hash")
        return (self.end, self.chain.get("hash")) == (other.end, other.chain.get("hash"))

    def is_other_batch_than(self, other: Heads) -> bool:
        """Whether it is another batch of the same id."""
        deleted = [{} if one.chain is None else one.chain.get(DELETED, {}) for one in (self, other)]
        if any(deleted):
            return deleted[0] != deleted[1] or not self.has_trail_of(other)
        if self.state is not None and other.state is not None:
            return self.state.get("created", NULL) != other.state.get("created", NULL)
        if self.state is not None or other.state is not None:
            return not self.has_trail_of(other)
        return self.chain is not None and other.chain is not None and not self.has_trail_of(other)


class BatchPlan:
    """Plans what is written of one batch, or of a part of it."""

    def __init__(
        self,
        plan: MergePlan,
        root: Place,
        items: Sequence[Placed],
        stored: Mapping[Place, Item],
        one_by_one: Callable[[MergePlan, Iterable[Placed]], None],
    ) -> None:
        self._plan, self._root, self._stored = plan, root, stored
        self._ours, self._theirs = Heads.of(root, plan.aggregate.roots), Heads.of(root, stored)
        self._typed = [one for one in items if is_typed(one)]
        self._others = [one for one in items if not is_typed(one)]
        self._one_by_one = one_by_one

    def make(self, engine: Engine, on_disk: str) -> None:
        """Add the writes to the plan."""
        theirs = self._theirs
        if theirs.state is not None or theirs.chain is not None or self._is_other_free():
            self._leave(self._ours.is_other_batch_than(theirs))
        elif self._plan.aggregate.back or self._has_others_records(engine, on_disk):
            self._leave(True)
        else:
            self._take()

    def _is_other_free(self) -> bool:
        ours, theirs = self._ours.free, self._theirs.free
        return theirs is not None and (ours is None or line_of(ours) != line_of(theirs))

    def _has_others_records(self, engine: Engine, on_disk: str) -> bool:
        """Whether there are records without a batch, which are not the export's."""
        there = [(one[1], found) for one in self._typed if (found := self._there(one)) is not None]
        if any(line_of(found) != line_of(item) for item, found in there):
            return True
        if self._plan.aggregate.is_part or (self._ours.state is None and self._ours.chain is None):
            return False
        ours = sorted([*self._typed, *self._others], key=place_of)
        return has_others(engine, on_disk, self._root[1].pk, compared(ours))

    def _there(self, placed: Placed) -> Item | None:
        """What the target has in its place; a head of a trail that is only a revision is none."""
        found = self._stored.get(place_of(placed))
        return None if found is not None and place_of(placed)[1].sk == CHAIN and says_nothing_else(found) else found

    def _take(self) -> None:
        """All of it, on condition that there is none; rules without a batch would keep one from being started."""
        for placed in self._typed:
            if self._there(placed) is not None:
                self._plan.same()
            elif place_of(placed)[1].sk == RULES and self._ours.state is None:
                self._plan.leave(placed, None)
            else:
                self._plan.add(placed, over=place_of(placed) in self._stored)
        self._one_by_one(self._plan, self._others)
        for place in heads_of(self._root):
            if place[1].sk != FREE or self._theirs.free is None:
                self._plan.check(place, ABSENT if place not in self._stored else 0)

    def _leave(self, is_another: bool) -> None:
        """What the target has stays; of its own trail those entries are added that its head knows of and that it lacks.

        What is no part of what the library keeps of a batch is brought in as everything else is, unless it is another
        batch's.
        """
        is_same_trail = self._ours.has_trail_of(self._theirs)
        version = None if self._theirs.chain is None else checkable_version(self._theirs.chain)
        takes_back = self._plan.aggregate.back and is_another
        for placed in self._typed:
            found = self._stored.get(place_of(placed))
            known = is_chained(placed) and 1 <= number_of(placed) <= self._theirs.end
            if found is None and known and is_same_trail and version is not None:
                self._plan.check((self._root[0], Key(self._root[1].pk, CHAIN)), version)
                self._plan.add(placed)
            elif takes_back and not is_written_with_heads(placed):
                self._plan.take_back(placed, found)
            else:
                self._plan.leave(placed, found)
        if is_another:
            for placed in self._others:
                found = self._stored.get(place_of(placed))
                (self._plan.take_back if takes_back else self._plan.leave)(placed, found)
            return
        count = len(self._plan.writes)
        self._one_by_one(self._plan, self._others)
        if len(self._plan.writes) > count and self._theirs.state is not None:
            self._plan.check(self._root, EXISTS)  # else it was deleted meanwhile


def is_typed(placed: Placed) -> bool:
    """Whether an item is a record of a batch as the library keeps it, or an entry of its trail."""
    table, key = place_of(placed)
    records = (mapper for mapper in KINDS if mapper.is_work and not mapper.append_only)
    return is_chained(placed) or (
        table == METADATA and any(mapper.table == table and mapper.keys.parse(key) for mapper in records)
    )


def is_written_with_heads(placed: Placed) -> bool:
    """Whether an item is brought in together with what readers begin with, and never before."""
    return is_head(placed) or is_first(placed) or place_of(placed)[1].sk == RULES


def has_others(engine: Engine, on_disk: str, pk: str, ours: Iterable[tuple[str, Item | None]]) -> bool:
    """Whether there is something in a partition that is not ours, which are in the order of their sort keys.

    Of ours that come with an item it has to be that one.
    """
    known = iter(ours)
    last, item = next(known, ("", None))
    for page in pages(lambda after: engine.query(on_disk, pk, cursor=after, consistent=True)):
        for found in page:
            sk = key_of(found).sk
            while last < sk and (following := next(known, None)) is not None:
                last, item = following
            if sk == CHAIN and says_nothing_else(found):
                continue
            if sk != last or (item is not None and line_of(item) != line_of(found)):
                return True
    return False


def compared(items: Iterable[Placed], besides: Iterable[Key] = ()) -> Iterator[tuple[str, Item | None]]:
    """For `has_others`: items of one partition, in order, of which those that the library keeps have to be equal."""
    ours = ((place_of(one)[1].sk, one[1] if is_typed(one) else None) for one in items)
    return heapq.merge(ours, sorted((key.sk, None) for key in besides), key=itemgetter(0))
