"""agent-config: the keys that a plan's data is encrypted with, each wrapped by the key of the settings or by KMS."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import PlanKeyNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import BytesAttribute, UtcAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.mapping.values import UtcTime


class PlanKey(Entity):
    """A data key of a plan (GLOBAL: of what belongs to none). `wrapped` is None for one that was dropped."""

    plan_id: str
    key_id: str
    wrapped: bytes | None = None
    created: UtcTime | None = None
    dropped: UtcTime | None = None


class PlanKeyModel(ItemModel):
    """PynamoDB's view of PlanKey."""

    class Meta:
        table_name = "agent-config"

    plan_id = UnicodeAttribute(null=True)
    key_id = UnicodeAttribute(null=True)
    wrapped = BytesAttribute(null=True)
    created = UtcAttribute(null=True)
    dropped = UtcAttribute(null=True)


PLAN_KEY = Mapper(
    "plan-key",
    PlanKey,
    PlanKeyModel,
    ItemKeys.of("PLANKEY#{plan_id:GLOBAL}", "KEY#{key_id}"),
    PlanKeyNotFoundError,
    cached=False,
    owner="plan_keys",
    holds_keys=True,
    in_store="plan_keys",
    repository="bluestar_store.repositories.plan_keys:PlanKeyRepository",
)
