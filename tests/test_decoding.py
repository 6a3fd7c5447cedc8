"""An item becomes its entity, or an ItemDecodeError that says where and why."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import model_validator

from bluestar_store import CalculationRule, ItemDecodeError
from bluestar_store.engines.item_json import to_json
from bluestar_store.mapping.attributes import BytesAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import KEY, Mapper, Reading
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.registry import KINDS
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Item
from tests.strategies import entities

STEP = ("CLIENT#ACME_Weekly", "STEP#0100")
CALC = ("CLIENT#ACME", "CALC#match")


def item(place: tuple[str, str], **attributes: Any) -> Item:
    """A wire item."""
    return {"PK": {"S": place[0]}, "SK": {"S": place[1]}, **attributes}


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 2)
def test_what_is_encoded_decodes_to_the_same_entity(mapper: Mapper[Any], data: st.DataObject) -> None:
    entity = data.draw(entities(mapper))
    key = mapper.keys.build(mapper.identity(entity))
    encoded = mapper.encode(entity)
    read = mapper.decode(item(key, **encoded, version={"N": "1"}))
    assert read == entity
    assert read.version == 1
    assert mapper.encode(read) == encoded
    assert mapper.key(read) == key
    assert mapper.validated(read) == entity


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=10)
def test_an_item_with_nothing_but_its_key_is_read(mapper: Mapper[Any], data: st.DataObject) -> None:
    identity = mapper.identity(data.draw(entities(mapper)))
    read = mapper.decode(item(mapper.keys.build(identity)))
    assert mapper.identity(read) == identity
    assert read.version == 0
    assert not read.extra


DAMAGE: list[tuple[Mapper[Any], tuple[str, str], dict[str, Any], str, str]] = [
    (PIPELINE_STEP, STEP, {"stepOrder": {"S": "100"}}, "stepOrder", "is of type S where N is needed"),
    (PIPELINE_STEP, STEP, {"stepOrder": {"N": "200"}}, "stepOrder", "is 200, the key says 100"),
    (PIPELINE_STEP, STEP, {"stepOrder": {"N": "100.5"}}, "stepOrder", "is no whole number"),
    (PIPELINE_STEP, STEP, {"timeoutSeconds": {"N": "1.5"}}, "timeoutSeconds", "is no whole number"),
    (PIPELINE_STEP, STEP, {"timeoutSeconds": {"N": "-1"}}, "timeoutSeconds", "should be greater than"),
    (PIPELINE_STEP, STEP, {"enabled": {"S": "true"}}, "enabled", "is of type S where BOOL is needed"),
    (PIPELINE_STEP, STEP, {"subroutineName": {"N": "1"}}, "subroutineName", "is of type N where S is needed"),
    (PIPELINE_STEP, STEP, {"version": {"S": "1"}}, "version", "is of type S where N is needed"),
    (PIPELINE_STEP, STEP, {"version": {"N": "1.5"}}, "version", "is no whole number"),
    (PIPELINE_STEP, STEP, {"version": {"N": "-1"}}, "version", "is no whole number"),
    (PIPELINE_STEP, STEP, {"version": {"NULL": True}}, "version", "is of type NULL where N is needed"),
    (PIPELINE_STEP, ("CLIENT#ACME", "STEP#0100"), {}, "PK, SK", "are not a key of a PipelineStep"),
    (PIPELINE_STEP, ("CLIENT#ACME_Weekly", "STEP#one"), {}, "PK, SK", "are not a key of a PipelineStep"),
    (CALCULATION_RULE, ("CLIENT#DEFAULT", "CALC#match"), {}, "PK, SK", "are not a key of a CalculationRule"),
    (CALCULATION_RULE, CALC, {"max_pct": {"S": "6"}}, "max_pct", "is of type S where N is needed"),
    (CALCULATION_RULE, CALC, {"max_pct": {"L": []}}, "max_pct", "is of type L where N is needed"),
    (VALIDATION_RULE, ("CATEGORY#SSN", "RULE#007"), {"number": {"N": "8"}}, "number", "is 8, the key says 7"),
    (IRS_LIMITS, ("YEAR#2026", "LIMITS"), {"year": {"N": "2025"}}, "year", "is 2025, the key says 2026"),
    (CLIENT_CONFIG, ("CLIENT#A_W", "CONFIG"), {"deadline_hour": {"N": "24"}}, "deadline_hour", "should be less than"),
    (ACH_CONFIG, ("CLIENT#A_W", "ACH"), {"account_number": {"N": "123456789"}}, "account_number", "is of type N"),
    (PLAN_HOLD, ("PLAN#A", "HOLD#h"), {"created": {"S": "yesterday"}}, "created", "is no ISO 8601 date or time"),
    (PLAN_HOLD, ("PLAN#A", "HOLD#h"), {"created": {"S": "0001-01-01T00:00:00+05:00"}}, "created", "is no time of"),
    (PLAN_HOLD, ("PLAN#A", "HOLD#h"), {"created": {"N": "1700000000"}}, "created", "is of type N where S is needed"),
    (BATCH_STATE, ("BATCH#b", "STATE"), {"status": {"S": "SLEEPING"}}, "status", "should be"),
    (VENDOR_SCHEMA, ("VENDOR#v", "SCHEMA#f"), {"columns": {"L": [{"N": "1"}]}}, "columns", "a value of type N"),
    (VENDOR_SCHEMA, ("VENDOR#v", "SCHEMA#f"), {"columns": {"SS": ["a"]}}, "columns", "is of type SS where L is needed"),
    (VENDOR_SCHEMA, ("VENDOR#v", "SCHEMA#f"), {"mapping": {"M": {"a": {"BOOL": True}}}}, "mapping", "type BOOL"),
]


@pytest.mark.parametrize(("mapper", "place", "attributes", "attribute", "reason"), DAMAGE)
def test_damage_is_named_with_table_key_attribute_and_reason(
    mapper: Mapper[Any], place: tuple[str, str], attributes: dict[str, Any], attribute: str, reason: str
) -> None:
    with pytest.raises(ItemDecodeError) as caught:
        mapper.decode(item(place, **attributes), "bluestar-x")
    error = caught.value
    assert (error.where, error.pk, error.sk, error.attribute) == ("bluestar-x", *place, attribute)
    assert reason in error.reason
    for part in ("bluestar-x", *map(repr, place), repr(attribute), reason):
        assert part in str(error)
    assert "123456789" not in str(error)
    assert "\n" not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 our own bytes


def test_a_decode_error_names_the_table_itself_when_nobody_says_which() -> None:
    with pytest.raises(ItemDecodeError, match=r"^processing-pipeline: item PK='CLIENT#ACME_Weekly' SK='STEP#0100':"):
        PIPELINE_STEP.decode(item(STEP, stepOrder={"S": "100"}))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-15", datetime(2024, 1, 15, tzinfo=UTC)),
        ("2024-01-15T08:30:00", datetime(2024, 1, 15, 8, 30, tzinfo=UTC)),
        ("2024-01-15T08:30:00Z", datetime(2024, 1, 15, 8, 30, tzinfo=UTC)),
        ("2024-01-15T08:30:00.5-05:00", datetime(2024, 1, 15, 13, 30, 0, 500000, tzinfo=UTC)),
    ],
)
def test_times_that_other_programs_wrote_are_read_as_utc(text: str, time: datetime) -> None:
    read = PLAN_HOLD.decode(item(("PLAN#A", "HOLD#h"), created={"S": text}))
    assert read.created == time
    assert read.created.tzinfo is UTC


def test_numbers_of_38_digits_are_read_exactly() -> None:
    text = "1234567890123456789012345678.9012345678"
    read = CALCULATION_RULE.decode(item(CALC, max_pct={"N": text}, other={"N": text}))
    assert str(read.max_pct) == text
    assert str(read.extra["other"]) == text


def test_unknown_attributes_are_extra_and_the_librarys_own_are_not() -> None:
    read = CALCULATION_RULE.decode(
        item(
            CALC,
            vestingTiers={"L": [{"M": {"pct": {"N": "20"}}}]},
            tags={"SS": ["b", "a"]},
            raw={"B": b"\x00"},
            nothing={"NULL": True},
            bs_level={"S": "x"},
            version={"N": "2"},
        )
    )
    assert dict(read.extra) == {
        "vestingTiers": ({"pct": Decimal(20)},),
        "tags": frozenset({"a", "b"}),
        "raw": b"\x00",
        "nothing": None,
    }


@pytest.mark.parametrize("wrong", [{"S": "GLOBAL"}, {"N": "7"}, {"L": []}])
def test_the_key_says_who_an_item_belongs_to_whatever_its_attributes_say(wrong: dict[str, Any]) -> None:
    assert CALCULATION_RULE.decode(item(CALC, plan_id=wrong)).plan_id == "ACME"


def test_a_null_attribute_counts_as_absent() -> None:
    read = PIPELINE_STEP.decode(item(STEP, agent={"NULL": True}, enabled={"NULL": True}, stepOrder={"NULL": True}))
    assert (read.agent, read.enabled, read.step_order) == (None, True, 100)


def test_an_entity_remembers_the_raw_key_it_was_read_from() -> None:
    read = PIPELINE_STEP.decode(item(("CLIENT#ACME_Weekly", "STEP#100"), stepOrder={"N": "100"}))
    assert PIPELINE_STEP.key(read) == ("CLIENT#ACME_Weekly", "STEP#100")
    moved = read.model_copy(update={"step_order": 200})
    assert PIPELINE_STEP.key(moved) == ("CLIENT#ACME_Weekly", "STEP#0200")


def by_parts(mapper: Mapper[Any], one: Item) -> Entity | ItemDecodeError:
    """What the ordinary way gives: the short one left out."""
    with patch.object(Reading, "entity", lambda self, item, identity: None):
        return outcome(mapper, one)


def outcome(mapper: Mapper[Any], one: Item) -> Entity | ItemDecodeError:
    """The entity in an item, or why it is none."""
    try:
        entity: Entity = mapper.decode(one)
        return entity
    except ItemDecodeError as error:
        return error


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 3)
def test_the_short_way_reads_every_item_that_the_library_wrote(mapper: Mapper[Any], data: st.DataObject) -> None:
    entity = data.draw(entities(mapper))
    one = item(mapper.keys.build(mapper.identity(entity)), **mapper.encode(entity), version={"N": "1"})
    read = mapper.reading.entity(one, mapper.identity(entity))
    assert read == entity
    assert read.model_fields_set == mapper.decode(one).model_fields_set
    identity = {"": "", **mapper.identity(entity)}
    from_json = mapper.reading.from_json(to_json({KEY: identity, **one}).encode(), mapper.origin(one))
    if any(isinstance(attribute, BytesAttribute) for attribute in mapper.attributes.values()):
        assert from_json is None  # bytes are text in JSON
    else:
        assert from_json == entity
        assert from_json.version == 1


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=2)
def test_a_mapper_that_is_made_anew_reads_by_the_short_way(mapper: Mapper[Any], data: st.DataObject) -> None:
    entity, again = data.draw(entities(mapper)), replace(mapper)
    one = item(again.keys.build(again.identity(entity)), **again.encode(entity), version={"N": "1"})
    with patch.object(Mapper, "_read_by_parts", side_effect=AssertionError("the ordinary way")):
        assert again.decode(one) == entity


def test_the_short_way_leaves_a_number_as_exact_as_it_lies_there_and_a_default_where_nothing_does() -> None:
    again = replace(CALCULATION_RULE)
    found = again.reading.entity(item(CALC, max_pct={"N": "0.10"}), {"plan_id": "ACME", "calc_type": "match"})
    assert found is not None
    assert str(found.max_pct) == "0.10"
    assert (found.formula, found.model_fields_set) == (None, {"plan_id", "calc_type", "max_pct"})
    assert again.reading.entity(item(CALC, max_pct={"N": "1" * 39}), {"plan_id": "ACME", "calc_type": "match"}) is None
    assert again.reading.entity(item(CALC, max_pct={"S": "1"}), {"plan_id": "ACME", "calc_type": "match"}) is None


WIRE = st.one_of(
    st.text(max_size=3).map(lambda text: {"S": text}),
    st.sampled_from(["0", "1", "-1", "1.5", "100", "1E+2", "0.1000", "9" * 38, "1E-130"]).map(lambda text: {"N": text}),
    st.booleans().map(lambda one: {"BOOL": one}),
    st.just({"NULL": True}),
    st.just({"L": [{"S": "a"}, {"N": "1"}]}),
    st.just({"M": {"a": {"S": "b"}, "c": {"L": []}}}),
    st.just({"SS": ["a"]}),
    st.just({"B": b"a"}),
)


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 2)
def test_the_short_way_and_the_ordinary_one_say_the_same_of_every_item(
    mapper: Mapper[Any], data: st.DataObject
) -> None:
    entity = data.draw(entities(mapper))
    names = [*(attribute.attr_name for attribute in mapper.attributes.values()), "version", "other", KEY]
    foreign = data.draw(st.dictionaries(st.sampled_from(names), WIRE, max_size=4))
    one = item(mapper.keys.build(mapper.identity(entity)), **{**mapper.encode(entity), **foreign})
    found, expected = outcome(mapper, one), by_parts(mapper, one)
    if isinstance(found, ItemDecodeError) or isinstance(expected, ItemDecodeError):
        assert str(found) == str(expected)
    else:
        assert found == expected
        assert found.model_fields_set == expected.model_fields_set
        assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  # our own
        assert repr(found) == repr(expected)


def test_an_entity_with_a_validator_of_its_own_is_read_by_it() -> None:
    class Checked(CalculationRule):
        @model_validator(mode="after")
        def _whole(self) -> Checked:
            if self.max_pct == 7:
                raise ValueError("seven is not for us")
            return self

    checked = replace(CALCULATION_RULE, entity=Checked)
    assert checked.reading.entity(item(CALC), {"plan_id": "ACME", "calc_type": "match"}) is None
    assert checked.decode(item(CALC, max_pct={"N": "6"})).max_pct == 6
    with pytest.raises(ItemDecodeError, match="seven is not for us"):
        checked.decode(item(CALC, max_pct={"N": "7"}))
