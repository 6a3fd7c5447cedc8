"""batch-state: the holds that keep a plan's batches from running, and the library's count of the open ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from bluestar_store.checks.fields import VISIBLE
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import Count, UtcTime

if TYPE_CHECKING:
    from bluestar_store.models.holds_model import HOLD_GUARD as HOLD_GUARD
    from bluestar_store.models.holds_model import OPEN as OPEN
    from bluestar_store.models.holds_model import PLAN_HOLD as PLAN_HOLD
    from bluestar_store.models.holds_model import HoldGuardModel as HoldGuardModel
    from bluestar_store.models.holds_model import PlanHoldModel as PlanHoldModel

__getattr__, __dir__ = lazily(
    __name__,
    {"bluestar_store.models.holds_model": ("HOLD_GUARD", "OPEN", "PLAN_HOLD", "HoldGuardModel", "PlanHoldModel")},
)


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


class HoldGuard(Entity):
    """The library's own count of a plan's open holds, for conditions in transactions."""

    plan_id: str
    open_holds: Count = 0
