"""Aggregates: items that a merge writes together or not at all: batches, audit trails and pipelines.

Readers begin with one item of an aggregate, its root: the STATE of a batch, the CHAIN of a trail, and for a pipeline
the CHAIN of its trail, which each replacement of the pipeline writes. An aggregate is written on condition that the
target does not have its root; if it has, the target's items stay.

All items in the partition of a batch are one aggregate, its trail included. It has several heads, not all of which need
exist: see `heads_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bluestar_store.errors import InvalidKeyError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE
from bluestar_store.models.free_form import FREE_STATE
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import AttributeValue, Engine, Item, key_of, pages
from bluestar_store.repositories.batch_traces import DELETED
from bluestar_store.repositories.trail import pipeline_head_key

PIPELINES, METADATA = PIPELINE_STEP.table, BATCH_STATE.table
"""The tables whose items belong to aggregates."""
STATE, RULES, CHAIN, FREE = (
    mapper.keys.sort.build({}) for mapper in (BATCH_STATE, BATCH_RULES, CHAIN_HEAD, FREE_STATE)
)

Place = tuple[str, Key]
"""A table, by its name without prefix, and a key in it."""
Placed = tuple[str, Item]
"""An item and the table that it belongs to."""


def place_of(placed: Placed) -> Place:
    """Where an item is."""
    table, item = placed
    return table, key_of(item)


def root_of(placed: Placed) -> Place | None:
    """Where the root of an item's aggregate is; None for an item that stands for itself."""
    table, key = place = place_of(placed)
    if is_of_batch(place):
        return METADATA, Key(key.pk, STATE)
    if table == METADATA and (CHAIN_HEAD.keys.parse(key) or is_chained(placed)):
        return METADATA, Key(key.pk, CHAIN)
    if is_step(placed):
        try:
            return METADATA, pipeline_head_key(key.pk)
        except InvalidKeyError:  # too long: then the library never wrote that pipeline
            return None
    return None


def heads_of(root: Place) -> tuple[Place, ...]:
    """The keys that tell whether an aggregate exists: its root; of a batch its state, trail head and old state."""
    if not is_of_batch(root):
        return (root,)
    table, key = root
    return tuple((table, Key(key.pk, sk)) for sk in (STATE, CHAIN, FREE))


def is_of_batch(place: Place) -> bool:
    """Whether it is in the partition of a batch."""
    table, key = place
    return table == METADATA and BATCH_STATE.keys.partition_identity(key.pk) is not None


def is_work(place: Place) -> bool:
    """Whether a merge never overwrites the target's item there."""
    table, key = place
    return any(mapper.table == table and mapper.keys.parse(key) for mapper in KINDS if mapper.is_work)


def is_step(placed: Placed) -> bool:
    """Whether an item is a step of a pipeline."""
    table, key = place_of(placed)
    return table == PIPELINES and PIPELINE_STEP.keys.parse(key) is not None


def is_chained(placed: Placed) -> bool:
    """Whether an item is an entry of a trail, which other programs' entries are not."""
    table, item = placed
    return table == METADATA and "hash" in item and AUDIT_ENTRY.keys.parse(key_of(item)) is not None


def number_of(placed: Placed) -> int:
    """The number of an entry."""
    identity = AUDIT_ENTRY.keys.parse(place_of(placed)[1])
    return int(identity["seq"]) if identity else 0


def pipeline_of(pk: str) -> str | None:
    """The partition of the pipeline whose trail a partition is."""
    identity = CHAIN_HEAD.keys.partition_identity(pk)
    return identity["partition"] if identity and identity["table"] == PIPELINES else None


@dataclass(frozen=True)
class Aggregate:
    """Items that are written together, in one transaction.

    `roots` has the roots that the export has of them. Not all need be among the items: what is too much for one
    transaction is written before, as parts, on condition that there is no root. `back`: what such parts have brought in
    is taken back, for the aggregate does not come.
    """

    items: tuple[Placed, ...]
    roots: Mapping[Place, Item] = field(default_factory=dict)
    is_part: bool = False
    back: bool = False

    @classmethod
    def of(cls, items: Iterable[Placed]) -> Aggregate:
        """All of the items at once."""
        together = tuple(items)
        return cls(together, roots_in(together))

    def places(self) -> Iterator[Place]:
        """What has to be known of the target: the items and their roots."""
        yield from self.roots
        for root in dict.fromkeys(map(root_of, self.items)):
            if root is not None:
                yield from heads_of(root)
        yield from map(place_of, self.items)


def roots_in(items: Iterable[Placed]) -> dict[Place, Item]:
    """The items that are roots or heads, and the first entries of trails, which distinguish trails."""
    return {place_of(one): one[1] for one in items if is_head(one) or is_first(one)}


def is_head(placed: Placed) -> bool:
    """Whether an item is a root, or another head of a batch."""
    root = root_of(placed)
    return root is not None and place_of(placed) in heads_of(root)


def is_first(placed: Placed) -> bool:
    """Whether an item is the first entry of a trail."""
    return is_chained(placed) and number_of(placed) == 1


def not_to_write(
    engine: Engine, table: str, on_disk: str, items: Mapping[Key, Item], stored: Mapping[Key, Item]
) -> set[Key]:
    """The keys of those items of a table that are left as they are where items are brought in one by one.

    A trail that the target has goes on as it is: of its entries only those are taken that its head knows of and that
    are not there, as after a merge that was interrupted. Nothing else is taken for a batch that was deleted. A pipeline
    is taken where the target has no step, or steps of the same revision.
    """
    barred = {key for key in stored if is_work((table, key))}
    absent = [key for key in items if key not in stored] if table == AUDIT_ENTRY.table else []
    entries = {key: found["seq"] for key in absent if (found := AUDIT_ENTRY.keys.parse(key))}
    heads = _heads(engine, on_disk, {key.pk for key in absent if CHAIN_HEAD.keys.partition_identity(key.pk)})
    ends = {pk: end_of(head) for pk, head in heads.items()}
    barred |= {key for key in absent if key not in entries and DELETED in heads.get(key.pk, {})}
    barred |= {key for key, seq in entries.items() if key.pk in ends and not 1 <= seq <= ends[key.pk]}
    steps = [key for key in items if PIPELINE_STEP.keys.parse(key)] if table == PIPELINE_STEP.table else []
    for pk in {key.pk for key in steps}:
        revisions = _revisions(engine, on_disk, pk)
        barred |= {key for key in steps if key.pk == pk and any(items[key].get(REVISION) != one for one in revisions)}
    return barred


def _heads(engine: Engine, on_disk: str, partitions: set[str]) -> dict[str, Item]:
    """The heads of the target's trails, by partition."""
    found = engine.get(on_disk, [Key(pk, CHAIN) for pk in sorted(partitions)], consistent=True)
    return {key.pk: item for key, item in found.items()}


def end_of(head: Item) -> int:
    """How many entries the head of a trail knows of; 0 for a head that cannot be read."""
    try:
        return CHAIN_HEAD.decode(head).seq
    except ItemDecodeError:
        return 0


def _revisions(engine: Engine, on_disk: str, pk: str) -> list[AttributeValue | None]:
    """Of each step that the target's pipeline has; None for another program's."""
    found = pages(lambda after: engine.query(on_disk, pk, cursor=after, consistent=True))
    return [item.get(REVISION) for page in found for item in page if PIPELINE_STEP.owns(item)]
