"""Kinds as a user might declare them."""

from __future__ import annotations

from typing import Any

from pydantic import create_model
from pynamodb.attributes import UnicodeAttribute

from bluestar_store import NotFoundError, PersistenceMode
from bluestar_store.extending import (
    Entity,
    IntegerAttribute,
    ItemKeys,
    LevelModel,
    Mapper,
    Number,
    PlanEntity,
    UtcAttribute,
    UtcTime,
)
from tests.own_kinds import PayCalendar, PayCalendarModel

MEMORY = PersistenceMode.MEMORY


def made(base: type[Entity], **fields: Any) -> Any:
    """A subclass with these fields."""
    return create_model("Made", __base__=base, **fields)


def calendar_model(**attributes: Any) -> type[LevelModel]:
    return type("Model", (PayCalendarModel,), {"Meta": PayCalendarModel.Meta, **attributes})


def calendar(**fields: Any) -> dict[str, Any]:
    """A calendar with more fields, each with an attribute."""
    entity = made(PayCalendar, **dict.fromkeys(fields, (str | None, None)))
    return {"entity": entity, "model": calendar_model(**fields)}


class Rate(PlanEntity):
    rate: Number | None = None
    when: UtcTime | None = None


class RateModel(LevelModel):
    class Meta:
        table_name = "rate"

    plan_id = UnicodeAttribute(null=True)
    rate = IntegerAttribute(null=True)
    when = UtcAttribute(null=True)


RATE = Mapper("rate", Rate, RateModel, ItemKeys.of("CLIENT#{plan_id}", "THERATE"), NotFoundError)
