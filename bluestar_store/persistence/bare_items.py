"""The library's repositories over raw items: of each item only the attributes that a choice needs are decoded.

So no other attribute of an older table's item can be an error, and specificity, overlays and whole pipelines are
implemented once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import bare
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA, VendorSchema
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.index_reader import IndexReader
from bluestar_store.repositories.pipelines import PipelineRepository
from bluestar_store.repositories.validation_rules import overlaid
from bluestar_store.repositories.vendor_schemas import VendorSchemaRepository


def raw(entity: Entity) -> Item:
    """The item of a bare entity."""
    return entity.origin.item if entity.origin else {}


class BareIndexReader(IndexReader):
    """Finds items by their partition and the beginning of their sort key: one without a number is one, too."""

    def owns(self, mapper: Mapper[Any], item: Item) -> bool:
        key = key_of(item)
        return key.sk.startswith(mapper.keys.sort.prefix) and mapper.keys.partition_identity(key.pk) is not None

    def is_marked(self, mapper: Mapper[Any], index: str) -> bool:
        """Never: a mark says nothing of items without a number."""
        return False


class BareSchemas(VendorSchemaRepository):
    """Chooses a vendor's schema by plan, frequency and date."""

    def for_vendor(self, vendor_id: str, *, fresh: bool = False) -> tuple[VendorSchema, ...]:
        """All schemas of a vendor, but those whose plan or frequency is no text: no caller could name them."""
        pk = self.mapper.keys.partition({"vendor_id": vendor_id})
        return tuple(
            bare(VENDOR_SCHEMA, item, _schema_identity(vendor_id, item), "plan_id", "pay_freq", "created")
            for item in self.session().partition(self.mapper, pk)
            if all(item.get(name, {"NULL": True}).keys() <= {"S", "NULL"} for name in ("plan_id", "pay_freq"))
        )


def _schema_identity(vendor_id: str, item: Item) -> dict[str, str]:
    return {"vendor_id": vendor_id, "fingerprint": key_of(item).sk}


class BarePipelines(PipelineRepository):
    """Tells whether steps are a whole pipeline, where the library wrote them."""

    def items(self, plan_id: str, pay_freq: str) -> list[Item]:
        """The steps, by stepOrder. Raises PipelineChangingError where steps of the library's keep disagreeing."""
        pk = self.mapper.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})
        session = self.session()
        items = session.partition(PIPELINE_STEP, pk)
        if any(REVISION in item for item in items):
            items = [raw(step) for step in self.whole(session, pk, items)]
        return sorted(items, key=_step_order)

    def entities(self, items: Iterable[Item]) -> tuple[PipelineStep, ...]:
        """The steps in any order: `items` sorts them."""
        unknown = {"plan_id": "?", "pay_freq": "?", "step_order": 0}
        return tuple(bare(PIPELINE_STEP, item, PIPELINE_STEP.keys.parse(key_of(item)) or unknown) for item in items)


def _step_order(item: Item) -> tuple[bool, float, str]:
    """By stepOrder, by the number in the key where there is none, and those without either last."""
    order, in_key = item.get("stepOrder", {}).get("N"), number_order(PIPELINE_STEP, item)
    return (False, float(order), in_key[2]) if order is not None else in_key


def number_order(mapper: Mapper[Any], item: Item) -> tuple[bool, float, str]:
    """By the number in the sort key, whatever its width; keys without one last."""
    sk = key_of(item).sk
    numbers = mapper.keys.sort.parse(sk) or {}
    number = next(iter(numbers.values()), None)
    return number is None, number or 0, sk


def rules_laid_over(shared: Iterable[Item], own: Iterable[Item]) -> list[Item]:
    """The enabled rules of a category, a client's own over the GLOBAL ones, by number.

    Rules whose sort key has no number lie over each other by the sort key itself, and come last.
    """
    levels: list[list[Any]] = []
    unnumbered: dict[str, Item] = {}
    for items in (shared, own):
        levels.append([])
        for item in items:
            key = key_of(item)
            identity = VALIDATION_RULE.keys.parse(key)
            if identity is None:
                unnumbered[key.sk] = item
            else:
                levels[-1].append(bare(VALIDATION_RULE, item, identity, "enabled"))
    rest = (item for _, item in sorted(unnumbered.items()) if item.get("enabled") != {"BOOL": False})
    return [*(raw(rule) for rule in overlaid(*map(tuple, levels))), *rest]
