"""agent-config: how PynamoDB and the library keep the entity of `plan_keys.py`."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import PlanKeyNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import BytesAttribute, UtcAttribute
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.models.plan_keys import PlanKey


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
)
