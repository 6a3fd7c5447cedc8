"""agent-config: the keys that a plan's data is encrypted with, each wrapped by the key of the settings or by KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import UtcTime

if TYPE_CHECKING:
    from bluestar_store.models.plan_keys_model import PLAN_KEY as PLAN_KEY
    from bluestar_store.models.plan_keys_model import PlanKeyModel as PlanKeyModel

__getattr__, __dir__ = lazily(__name__, {"bluestar_store.models.plan_keys_model": ("PLAN_KEY", "PlanKeyModel")})


class PlanKey(Entity):
    """A data key of a plan (GLOBAL: of what belongs to none). `wrapped` is None for one that was dropped."""

    plan_id: str
    key_id: str
    wrapped: bytes | None = None
    created: UtcTime | None = None
    dropped: UtcTime | None = None
