"""Entities are values: deeply immutable, exact, comparable, copyable, and silent about bank numbers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bluestar_store import (
    AchConfig,
    BatchState,
    CalculationRule,
    InvalidEntityError,
    InvalidKeyError,
    IrsLimits,
    PersistenceMode,
    PipelineStep,
    PlanHold,
    Scope,
    Settings,
    StepResult,
    Store,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.values import frozen, number_text
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import Put, Update
from bluestar_store.redaction.masking import masked
from tests.strategies import decimals, entities

COPIES: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    lambda entity: pickle.loads(pickle.dumps(entity)),  # noqa: S301 our own bytes
    lambda entity: entity.model_copy(),
    lambda entity: entity.model_copy(deep=True),
]


def stored(mapper: Mapper[Any], entity: Entity, **attributes: Any) -> Any:
    """The entity as if it had been read, with more attributes on its item."""
    key = mapper.keys.build(mapper.identity(entity))
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **mapper.encode(entity), "version": {"N": "3"}, **attributes}
    return mapper.decode(item)


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=15)
def test_copies_and_pickles_are_equal_and_remember_where_they_were_read(
    mapper: Mapper[Any], data: st.DataObject
) -> None:
    entity = stored(mapper, data.draw(entities(mapper)), vestingTiers={"L": [{"N": "1"}]})
    for made in (duplicate(entity) for duplicate in COPIES):
        assert made == entity
        assert (made.version, made.origin, made.extra) == (3, entity.origin, entity.extra)
        assert made.extra["vestingTiers"] == (Decimal(1),)


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=15)
def test_an_entity_can_be_hashed_and_its_fields_cannot_be_set(mapper: Mapper[Any], data: st.DataObject) -> None:
    entity = data.draw(entities(mapper))
    hash(entity)
    for name in mapper.entity.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(entity, name, None)


def test_nested_values_are_frozen_all_the_way_down() -> None:
    columns, mapping = ["SSN"], {"SSN": "ssn"}
    schema = VendorSchema(vendor_id="ADP", fingerprint="f", columns=columns, mapping=mapping)  # type: ignore[arg-type]  # a list is taken
    document = {"lines": [{"n": 1, "tags": {"a"}, "raw": bytearray(b"x")}]}
    result = StepResult(batch_id="b", step=1, result=document)
    columns.append("more")
    mapping["more"] = "more"
    document["lines"].clear()
    assert schema.columns == ("SSN",)
    assert schema.mapping == {"SSN": "ssn"}
    assert result.result == {"lines": ({"n": 1, "tags": frozenset({"a"}), "raw": b"x"},)}
    inner: Any = result.result
    outer: Any = schema.mapping
    changes: list[Callable[[], Any]] = [
        lambda: outer.__setitem__("x", "y"),
        lambda: inner.__setitem__("lines", ()),
        lambda: inner["lines"].append(1),
        lambda: inner["lines"][0].__setitem__("n", 2),
        lambda: inner["lines"][0]["tags"].add("b"),
    ]
    for change in changes:
        with pytest.raises((AttributeError, TypeError)):
            change()


def test_extra_attributes_are_frozen_too() -> None:
    entity = stored(
        CALCULATION_RULE, CalculationRule(plan_id="A", calc_type="m"), tiers={"M": {"a": {"L": [{"M": {}}]}}}
    )
    changes: list[Callable[[], Any]] = [
        lambda: entity.extra.__setitem__("x", 1),
        lambda: entity.extra["tiers"].__setitem__("a", ()),
        lambda: entity.extra["tiers"]["a"][0].__setitem__("b", 1),
    ]
    for change in changes:
        with pytest.raises((AttributeError, TypeError)):
            change()


@pytest.mark.parametrize("wrong", [1.5, [1.5], {"a": {"b": 1.5}}, {1: "a"}, {1.5}, object(), [datetime.now(UTC)]])
def test_a_document_holds_only_what_dynamodb_has(wrong: object) -> None:
    with pytest.raises(ValueError, match="contains a"):
        frozen(wrong)


@pytest.mark.parametrize("wrong", [1.5, float("nan"), True, "six", "", "1e", "NaN", "Infinity", Decimal("NaN"), [6]])
def test_a_number_is_exact_or_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        CalculationRule(plan_id="A", calc_type="m", max_pct=wrong)


@pytest.mark.parametrize("wrong", ["1" * 39, "1." + "1" * 38, "1E126", "1E-131", Decimal(10) ** 126])
def test_a_number_that_dynamodb_could_not_keep_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="DynamoDB"):
        IrsLimits(year=2026, max_401k=wrong)


@given(decimals())
def test_numbers_are_exact_to_38_digits_through_the_wire(number: Decimal) -> None:
    read = stored(CALCULATION_RULE, CalculationRule(plan_id="A", calc_type="m", max_pct=number))
    assert read.max_pct == number
    assert number_text(read.max_pct) == number_text(number)


def test_one_number_has_one_spelling() -> None:
    spellings = ("1", "1.0", "+1", "01", "1E0", "10E-1", Decimal("1.000"), 1)
    assert {number_text(spelling) for spelling in spellings} == {"1"}
    assert number_text(Decimal("-0.0")) == "0"


def test_times_are_aware_and_in_utc() -> None:
    noon = datetime(2026, 1, 15, 12, tzinfo=timezone(timedelta(hours=-5)))
    hold = PlanHold(plan_id="A", hold_id="h", created=noon)
    assert hold.created == noon
    assert hold.created is not None
    assert hold.created.tzinfo is UTC
    with pytest.raises(ValidationError, match="time zone"):
        PlanHold(plan_id="A", hold_id="h", created=datetime(2026, 1, 15))
    for wrong in (0, "yesterday", datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))):
        with pytest.raises(ValidationError):
            PlanHold(plan_id="A", hold_id="h", created=wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_entities_are_equal_by_what_they_say_and_not_by_where_they_were_read() -> None:
    made = CalculationRule(plan_id="A", calc_type="m", max_pct=Decimal("6.0"))
    read = stored(CALCULATION_RULE, made)
    assert made == read == made.model_copy(update={"max_pct": Decimal(6)})
    assert hash(made) == hash(read)
    assert read != stored(CALCULATION_RULE, made, other={"S": "x"})
    assert (made.version, made.origin, dict(made.extra)) == (None, None, {})


def test_a_change_that_is_not_valid_is_found_by_validating_again() -> None:
    step = PipelineStep(plan_id="A", pay_freq="W", step_order=1)
    mapper = next(mapper for mapper in KINDS if mapper.entity is PipelineStep)
    for update in ({"step_order": "x"}, {"enabled": 1}, {"agent": b"x"}, {"timeout_seconds": -1}, {"unknown": 1}):
        with pytest.raises(InvalidEntityError, match=next(iter(update))):
            mapper.validated(step.model_copy(update=update))
    with pytest.raises(InvalidEntityError, match="Unicode"):
        mapper.encode(step.model_copy(update={"agent": "\ud800"}))


def test_the_level_of_an_entity_is_its_scope() -> None:
    assert CalculationRule(plan_id="ACME", calc_type="m").scope is Scope.CLIENT
    assert ValidationRule(category="SSN", number=1).scope is Scope.GLOBAL
    assert PipelineStep(plan_id="DEFAULT", pay_freq="W", step_order=1).scope is Scope.DEFAULT


ACCOUNT, ROUTING = "123456789012", "021000021"


def test_an_ach_config_never_shows_a_whole_bank_number() -> None:
    made = AchConfig(plan_id="A", pay_freq="W", account_number=ACCOUNT, routing_number=ROUTING)
    read = stored(ACH_CONFIG, made, oldAccount={"S": ACCOUNT})
    item = read.origin.item
    shown = [made, read, read.origin, [made], Put("t", item), Update("t", read.origin.key, item)]
    with pytest.raises(ValidationError) as refused:
        AchConfig(plan_id="A", pay_freq="W", account_number=[ACCOUNT], deadline=ROUTING)  # type: ignore[arg-type, call-arg]  # wrong on purpose
    with pytest.raises(InvalidEntityError) as invalid:
        ACH_CONFIG.validated(made.model_copy(update={"account_number": (ACCOUNT,)}))
    for thing in (*shown, refused.value, invalid.value):
        for text in (repr(thing), str(thing), f"{thing}"):
            assert ACCOUNT not in text
            assert ROUTING not in text
    assert "account_number='********9012'" in repr(made)


@pytest.mark.parametrize(
    ("secret", "shown"), [("123456789", "*****6789"), ("1234", "**34"), ("123", "**3"), ("1", "*"), ("", "")]
)
def test_a_masked_number_shows_its_end_and_never_more_than_half(secret: str, shown: str) -> None:
    assert masked(secret) == shown


def test_an_enum_is_read_from_its_text_and_kept_as_an_enum() -> None:
    batch = BatchState(batch_id="b", status="RUNNING")  # type: ignore[arg-type]  # text is taken too
    assert batch.status is not None
    assert batch.status.name == "RUNNING"
    with pytest.raises(ValidationError):
        BatchState(batch_id="b", status="SLEEPING")  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("plan_id", ["A#B", "", "GLOBAL", "DEFAULT"])
def test_a_plan_outside_the_key_is_checked_by_a_write(plan_id: str) -> None:
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY)) as store:
        store.create_tables()
        with pytest.raises(InvalidKeyError):
            store.vendor_schemas.put(VendorSchema(vendor_id="V", fingerprint="f", plan_id=plan_id))
        with pytest.raises(InvalidKeyError):
            store.batches.put(BatchState(batch_id="b", plan_id=plan_id))
