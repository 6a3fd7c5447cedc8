"""Fields of kinds of users' own: which types are taken, and what is told of the others."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from pynamodb.attributes import UnicodeAttribute

from bluestar_store import (
    BatchStatus,
    ClientConfig,
    ConfigurationError,
    InvalidEntityError,
    Settings,
    StepResult,
    Store,
)
from bluestar_store.cli.records import record
from bluestar_store.extending import (
    CLIENT_CONFIG,
    ClientConfigModel,
    Count,
    Document,
    Number,
    PlanEntity,
    TextListAttribute,
    TextMap,
    TextTuple,
    UtcTime,
)
from bluestar_store.mapping.canonical import canonical
from bluestar_store.mapping.immutability import is_immutable
from bluestar_store.models.registry import with_kinds
from tests.own_kinds import PAY_CALENDAR, PayCalendar
from tests.registered_kinds import MEMORY, RATE, Rate, RateModel, calendar, calendar_model, made


class Pinned(BaseModel, frozen=True):
    days: tuple[int, ...] = ()
    next: Pinned | None = None


class Loose(BaseModel):
    days: tuple[int, ...] = ()


class Color(Enum):
    RED = "red"


GOOD: list[Any] = [
    *(str, int, bool, bytes, Decimal, date, datetime, Color, Number, UtcTime, Count, TextTuple, TextMap, Document),
    *(str | None, Literal["a", "b"], tuple[str, ...], tuple[int, Decimal], frozenset[str], Pinned, TextMap | None),
    *(tuple[Pinned, ...], Annotated[int, Field(ge=0)] | None, tuple[Document, ...] | None, BatchStatus),
]


BAD: list[Any] = [
    *(list[str], dict[str, str], set[str], bytearray, Sequence[str], Mapping[str, str], MutableMapping[str, str]),
    *(Any, object, list, tuple, float, deque[int], array, Loose, tuple[list[str], ...], str | list[str]),
    *(Iterable[str], frozenset[Any], tuple[Any, ...]),
]


@pytest.mark.parametrize("annotation", GOOD)
def test_a_field_of_an_immutable_type_is_taken(annotation: Any) -> None:
    assert is_immutable(annotation)


@pytest.mark.parametrize("annotation", BAD)
def test_a_field_that_could_be_changed_or_is_of_no_known_type_is_refused(annotation: Any) -> None:
    assert not is_immutable(annotation)


# What begins with "model_" some versions of pydantic refuse themselves.
@pytest.mark.parametrize("name", ["version", "origin", "written_by", "scope", "extra", "stale", "copy"])
@pytest.mark.filterwarnings("ignore:Field name")
def test_a_field_that_shadows_what_an_entity_says_of_itself_is_refused(name: str) -> None:
    changes = calendar(**{name: UnicodeAttribute(null=True)})
    with pytest.raises(ConfigurationError, match=f"every entity has {name} of its own"):
        with_kinds([replace(PAY_CALENDAR, **changes)])


def test_a_field_without_an_attribute_and_an_attribute_without_a_field_are_errors_where_the_mapper_is_made() -> None:
    more = made(PayCalendar, note=(str | None, None))
    with pytest.raises(ConfigurationError, match="PayCalendarModel has no attribute for note, which Made has"):
        replace(PAY_CALENDAR, entity=more)
    with pytest.raises(ConfigurationError, match="PayCalendar has no field for note, which Model has"):
        replace(PAY_CALENDAR, model=calendar_model(note=UnicodeAttribute(null=True)))
    with pytest.raises(ConfigurationError, match="ClientConfigModel has no attribute for grade, which Made has"):
        CLIENT_CONFIG.extended(made(ClientConfig, grade=(str | None, None)), ClientConfigModel)


def test_a_value_that_its_attribute_cannot_write_is_refused_and_never_cut() -> None:
    with Store.open(Settings(persistence_mode=MEMORY), kinds=[RATE]) as store:
        store.create_tables()
        rates = store.repository(RATE)
        with pytest.raises(InvalidEntityError, match="rate is no whole number"):
            rates.put(Rate(plan_id="ACME", rate=Decimal("2.75")))
        assert rates.put(Rate(plan_id="ACME", rate=Decimal("2.00"))).rate == 2
        unwritable = replace(RATE, model=type("Model", (RateModel,), {"rate": TextListAttribute(null=True)}))
        with pytest.raises(InvalidEntityError, match="rate is Decimal, which TextListAttribute cannot write"):
            unwritable.encode(Rate(plan_id="ACME", rate=Decimal("2.75")))


class Payee(BaseModel, frozen=True):
    name: str
    iban: str


class Payment(PlanEntity):
    day: date
    color: Color
    payee: Payee


def test_values_of_every_type_that_is_taken_have_a_digest_and_are_shown() -> None:
    number = "DE02120300000000202051"
    payment = Payment(plan_id="A", day=date(2026, 1, 9), color=Color.RED, payee=Payee(name="P", iban=number))
    assert canonical(payment)["fields"] == {
        "plan_id": "A",
        "day": {"D": "2026-01-09"},
        "color": "red",
        "payee": {"M": {"name": "P", "iban": number}},
    }
    shown = record(payment)
    assert (shown["day"], shown["color"]) == ("2026-01-09", "red")
    assert shown["payee"] == {"name": "P", "iban": "******************2051"}
    assert number not in repr(payment)
    assert number not in repr(StepResult(batch_id="b", step=1, result={"lines": [{"account": number}]}))
