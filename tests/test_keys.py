"""Keys parse back, never collide, and refuse what would be ambiguous."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bluestar_store import DEFAULT, GLOBAL, InvalidKeyError
from bluestar_store.keys import MAX_PK_BYTES, MAX_SK_BYTES, ItemKeys, Key, check_plan
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE, STEP_CLAIM, STEP_RESULT
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.free_form import FREE_RESULT, FREE_STATE
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.plan_keys import PLAN_KEY
from bluestar_store.models.registry import KINDS
from bluestar_store.models.tables import Tables
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.settings import TableLayout
from tests.strategies import LEVELS, ODD_IDENTIFIERS, identities, placed

EXAMPLES: list[tuple[Mapper[Any], dict[str, Any], str, str]] = [
    (PIPELINE_STEP, {"plan_id": "ACME", "pay_freq": "Weekly", "step_order": 100}, "CLIENT#ACME_Weekly", "STEP#0100"),
    (PIPELINE_STEP, {"plan_id": "A_B", "pay_freq": "W", "step_order": 12345}, "CLIENT#A_B_W", "STEP#12345"),
    (VALIDATION_RULE, {"category": "SSN", "plan_id": GLOBAL, "number": 7}, "CATEGORY#SSN", "RULE#007"),
    (VALIDATION_RULE, {"category": "SSN", "plan_id": "X", "number": 1000}, "CATEGORY#SSN#CLIENT#X", "RULE#1000"),
    (CALCULATION_RULE, {"plan_id": "ACME", "calc_type": "match"}, "CLIENT#ACME", "CALC#match"),
    (CALCULATION_RULE, {"plan_id": GLOBAL, "calc_type": "match"}, "CLIENT#GLOBAL", "CALC#match"),
    (IRS_LIMITS, {"year": 2026}, "YEAR#2026", "LIMITS"),
    (CLIENT_CONFIG, {"plan_id": "ACME", "pay_freq": "Weekly"}, "CLIENT#ACME_Weekly", "CONFIG"),
    (ACH_CONFIG, {"plan_id": DEFAULT, "pay_freq": "Weekly"}, "CLIENT#DEFAULT_Weekly", "ACH"),
    (VENDOR_SCHEMA, {"vendor_id": "ADP", "fingerprint": "f0"}, "VENDOR#ADP", "SCHEMA#f0"),
    (PLAN_KEY, {"plan_id": GLOBAL, "key_id": "k1"}, "PLANKEY#GLOBAL", "KEY#k1"),
    (PLAN_HOLD, {"plan_id": "ACME", "hold_id": "h1"}, "PLAN#ACME", "HOLD#h1"),
    (HOLD_GUARD, {"plan_id": "ACME"}, "GUARD#ACME", "HOLDS"),
    (BATCH_STATE, {"batch_id": "b1"}, "BATCH#b1", "STATE"),
    (BATCH_RULES, {"batch_id": "b1"}, "BATCH#b1", "RULES"),
    (STEP_RESULT, {"batch_id": "b1", "step": 100}, "BATCH#b1", "RESULT#0100"),
    (STEP_CLAIM, {"batch_id": "b1", "step": 100}, "BATCH#b1", "CLAIM#0100"),
    (CHAIN_HEAD, {"batch_id": "b1", "table": None, "partition": None}, "BATCH#b1", "CHAIN"),
    (
        AUDIT_ENTRY,
        {"batch_id": None, "table": "irs-limits", "partition": "YEAR#2026", "seq": 3},
        "TRAIL#irs-limits#YEAR#2026",
        "AUDIT#00000003",
    ),
    (FREE_STATE, {"batch_id": "b1"}, "BATCH#b1", "FREE#STATE"),
    (FREE_RESULT, {"batch_id": "b1", "step": "match"}, "BATCH#b1", "FREE#RESULT#match"),
]


@pytest.mark.parametrize(("mapper", "identity", "pk", "sk"), EXAMPLES)
def test_keys_on_disk_are_those_of_the_design(mapper: Mapper[Any], identity: dict[str, Any], pk: str, sk: str) -> None:
    assert mapper.keys.build(identity) == Key(pk, sk)
    assert mapper.keys.parse(Key(pk, sk)) == identity


def test_every_kind_has_an_example() -> None:
    assert {mapper.name for mapper, *_ in EXAMPLES} == {mapper.name for mapper in KINDS}


@pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 2)
def test_build_then_parse_is_the_identity(mapper: Mapper[Any], data: st.DataObject) -> None:
    identity = data.draw(identities(mapper))
    assert mapper.keys.parse(mapper.keys.build(identity)) == identity


@given(placed(), placed())
@settings(max_examples=settings().max_examples * 2)
@example(
    (CALCULATION_RULE, {"plan_id": "x", "calc_type": "b"}), (CALCULATION_RULE, {"plan_id": "x_b", "calc_type": "b"})
)
def test_two_identities_never_share_a_place_in_either_layout(
    one: tuple[Mapper[Any], dict[str, Any]], other: tuple[Mapper[Any], dict[str, Any]]
) -> None:
    assume((one[0].name, one[1]) != (other[0].name, other[1]))
    for layout in TableLayout:
        tables = Tables("p-", "-s", layout)
        places = {(tables.name(mapper), mapper.keys.build(identity)) for mapper, identity in (one, other)}
        assert len(places) == 2


@given(placed(), st.sampled_from(KINDS))
@settings(max_examples=settings().max_examples * 2)
def test_no_key_is_read_as_another_kinds(one: tuple[Mapper[Any], dict[str, Any]], other: Mapper[Any]) -> None:
    mapper, identity = one
    if other is not mapper:
        assert other.keys.parse(mapper.keys.build(identity)) is None


@given(st.sampled_from(KINDS), st.text(max_size=30), st.text(max_size=20))
def test_a_key_that_parses_is_built_back_apart_from_its_numbers_width(mapper: Mapper[Any], pk: str, sk: str) -> None:
    prefix = mapper.keys.forms[-1][0].prefix
    identity = mapper.keys.parse(Key(prefix + pk, mapper.keys.sort.prefix + sk))
    if identity is not None:
        assert mapper.keys.parse(mapper.keys.build(identity)) == identity


TEXT_FIELDS = [
    (mapper, name)
    for mapper in KINDS
    for name in mapper.keys.fields
    if name not in mapper.keys.numbers and name not in ("table", "partition")
]
VALID: dict[str, dict[str, Any]] = {mapper.name: identity for mapper, identity, _, _ in EXAMPLES}
VALID["audit-entry"] = {"batch_id": "b1", "table": None, "partition": None, "seq": 3}


@pytest.mark.parametrize(("mapper", "name"), TEXT_FIELDS, ids=lambda part: getattr(part, "name", part))
@pytest.mark.parametrize(
    "wrong",
    ["", "A#B", "#", "a\nb", "\x00", "\x1f", "\x7f", "\x85", "\ud800", "é" * 1025, None, 1, b"x"],
    ids=ascii,
)
def test_an_identifier_that_would_be_ambiguous_is_refused(mapper: Mapper[Any], name: str, wrong: object) -> None:
    with pytest.raises(InvalidKeyError) as caught:
        mapper.keys.build(VALID[mapper.name] | {name: wrong})
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 300  # one clear line, however long the identifier was
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mapper", [PIPELINE_STEP, CLIENT_CONFIG, ACH_CONFIG], ids=lambda mapper: mapper.name)
def test_a_pay_frequency_with_an_underscore_is_refused(mapper: Mapper[Any]) -> None:
    with pytest.raises(InvalidKeyError, match="pay_freq 'Bi_Weekly' contains '_'"):
        mapper.keys.build(VALID[mapper.name] | {"pay_freq": "Bi_Weekly"})


@pytest.mark.parametrize("reserved", [GLOBAL, DEFAULT])
@pytest.mark.parametrize(
    "mapper", [mapper for mapper in KINDS if "plan_id" in mapper.keys.fields], ids=lambda mapper: mapper.name
)
def test_a_reserved_level_is_no_plan_except_where_it_is_the_kinds_own(mapper: Mapper[Any], reserved: str) -> None:
    identity = VALID[mapper.name] | {"plan_id": reserved}
    if LEVELS.get(mapper.name, mapper.keys.level) == reserved:
        assert mapper.keys.parse(mapper.keys.build(identity)) == identity
    else:
        with pytest.raises(InvalidKeyError, match="reserved"):
            mapper.keys.build(identity)


@pytest.mark.parametrize("reserved", [GLOBAL, DEFAULT])
def test_a_reserved_level_is_refused_where_a_plan_is_meant(reserved: str) -> None:
    with pytest.raises(InvalidKeyError, match=f"plan_id {reserved} is reserved"):
        check_plan(reserved)


@pytest.mark.parametrize("wrong", [True, False, -1, 1.0, "7", None], ids=repr)
@pytest.mark.parametrize("mapper", [mapper for mapper in KINDS if mapper.keys.numbers], ids=lambda mapper: mapper.name)
def test_a_number_in_a_key_is_a_whole_number_from_0(mapper: Mapper[Any], wrong: object) -> None:
    (name,) = mapper.keys.numbers
    with pytest.raises(InvalidKeyError, match=f"{name} must be a whole number from 0"):
        mapper.keys.build(VALID[mapper.name] | {name: wrong})


@pytest.mark.parametrize("wrong", ["", None, "\ud800", "x" * 3000])
def test_the_partition_of_a_trail_is_one_that_can_be_stored(wrong: object) -> None:
    with pytest.raises(InvalidKeyError):
        CHAIN_HEAD.keys.build({"batch_id": None, "table": "irs-limits", "partition": wrong})


@pytest.mark.parametrize("identifier", ODD_IDENTIFIERS)
def test_everything_else_is_kept_as_it_is(identifier: str) -> None:
    key = CALCULATION_RULE.keys.build({"plan_id": identifier, "calc_type": identifier})
    assert key == Key(f"CLIENT#{identifier}", f"CALC#{identifier}")
    assert CALCULATION_RULE.keys.parse(key) == {"plan_id": identifier, "calc_type": identifier}


@pytest.mark.parametrize(
    ("mapper", "key", "number"),
    [
        (PIPELINE_STEP, Key("CLIENT#ACME_Weekly", "STEP#100"), 100),
        (PIPELINE_STEP, Key("CLIENT#ACME_Weekly", "STEP#0000100"), 100),
        (VALIDATION_RULE, Key("CATEGORY#SSN", "RULE#7"), 7),
        (STEP_RESULT, Key("BATCH#b", "RESULT#00000100"), 100),
    ],
)
def test_numbers_of_other_widths_parse(mapper: Mapper[Any], key: Key, number: int) -> None:
    identity = mapper.keys.parse(key)
    assert identity is not None
    assert [identity[name] for name in mapper.keys.numbers] == [number]


@pytest.mark.parametrize(
    "key",
    [
        Key("CLIENT#ACME_Weekly", "STEP#\u0661\u0660\u0660"),  # digits that int() would read too
        Key("CLIENT#ACME_Weekly", "STEP#-1"),
        Key("CLIENT#ACME_Weekly", "STEP# 1"),
        Key("CLIENT#ACME_Weekly", "STEP#1_0"),
        Key("CLIENT#ACME_Weekly", "STEP#"),
        Key("CLIENT#ACME_Weekly", "STEP#1\n"),
        Key("CLIENT#ACME", "STEP#1"),
        Key("CLIENT#GLOBAL_Weekly", "STEP#1"),
        Key("CLIENT#_Weekly", "STEP#1"),
        Key("CLIENT#A#B_Weekly", "STEP#1"),
        Key("xCLIENT#ACME_Weekly", "STEP#1"),
    ],
)
def test_a_key_that_build_would_not_make_is_no_ones(key: Key) -> None:
    assert not [mapper.name for mapper in KINDS if mapper.keys.parse(key)]


@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_keys_up_to_the_size_of_a_key_are_taken(character: str) -> None:
    size = len(character.encode())
    fits = character * ((MAX_PK_BYTES - len("PLAN#")) // size)
    hold = character * ((MAX_SK_BYTES - len("HOLD#")) // size)
    identity = {"plan_id": fits, "hold_id": hold}
    assert PLAN_HOLD.keys.parse(PLAN_HOLD.keys.build(identity)) == identity
    for name, longer in {"plan_id": fits + character, "hold_id": hold + character}.items():
        with pytest.raises(InvalidKeyError, match="an AWS limit"):
            PLAN_HOLD.keys.build(identity | {name: longer})


def test_an_identity_that_fits_no_form_is_refused() -> None:
    keys: ItemKeys = CHAIN_HEAD.keys
    with pytest.raises(InvalidKeyError):
        keys.build({"batch_id": None, "table": None, "partition": None})
