"""batch-state: the holds that keep a plan's batches from running, and the library's count of the open ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.checks.fields import VISIBLE
from bluestar_store.errors import HoldNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import IntegerAttribute, UtcAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.indexes import OpenHolds, index_text
from bluestar_store.mapping.mapper import ItemModel, ListedIn, Mapper
from bluestar_store.mapping.values import Count, UtcTime, utc_text


class PlanHold(Entity):
    """A reason why a plan's batches must wait. Open until `released` is set."""

    plan_id: str
    hold_id: str
    reason: str | None = None
    created: UtcTime | None = None
    created_by: Annotated[str | None, VISIBLE] = None
    released: UtcTime | None = None
    released_by: Annotated[str | None, VISIBLE] = None
    batch_id: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still holds."""
        return self.released is None


class PlanHoldModel(ItemModel):
    """PynamoDB's view of PlanHold."""

    class Meta:
        table_name = "batch-state"

    plan_id = UnicodeAttribute(null=True)
    hold_id = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    created = UtcAttribute(null=True)
    created_by = UnicodeAttribute(null=True)
    released = UtcAttribute(null=True)
    released_by = UnicodeAttribute(null=True)
    batch_id = UnicodeAttribute(null=True)

    bs_open = UnicodeAttribute(null=True)
    bs_open_created = UnicodeAttribute(null=True)
    open_holds = OpenHolds()


class HoldGuard(Entity):
    """The library's own count of a plan's open holds, for conditions in transactions."""

    plan_id: str
    open_holds: Count = 0


class HoldGuardModel(ItemModel):
    """PynamoDB's view of HoldGuard."""

    class Meta:
        table_name = "batch-state"

    plan_id = UnicodeAttribute(null=True)
    open_holds = IntegerAttribute(null=True)


OPEN = "HOLD"
"""The one partition of the open_holds index: open holds are few."""


def _open_index(hold: PlanHold) -> Mapping[str, str]:
    if not hold.is_open:
        return {}
    created = utc_text(hold.created) if hold.created else ""
    return {"bs_open": OPEN, "bs_open_created": index_text(created, hold.hold_id)}


PLAN_HOLD = Mapper(
    "plan-hold",
    PlanHold,
    PlanHoldModel,
    ItemKeys.of("PLAN#{plan_id}", "HOLD#{hold_id}"),
    HoldNotFoundError,
    _open_index,
    cached=False,
    owner="holds",
    listed_in=ListedIn.HOLDS,
    commands=("hold release {plan_id} {hold_id}",),
    in_store="holds",
    repository="bluestar_store.repositories.holds:PlanHoldRepository",
)
HOLD_GUARD = Mapper(
    "hold-guard",
    HoldGuard,
    HoldGuardModel,
    ItemKeys.of("GUARD#{plan_id}", "HOLDS"),
    HoldNotFoundError,
    cached=False,
    owner="holds",
)
