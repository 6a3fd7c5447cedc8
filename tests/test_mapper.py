"""What a Mapper says of what it cannot take: where it lies, why, what mends it. And the cache keys that it gives."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store import AchConfig, CalculationRule, EncryptedValueError, InvalidEntityError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.mapping.sealed import MAGIC, SealedValue
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfigModel
from bluestar_store.models.validation import VALIDATION_RULE
from tests.own_kinds import PAYROLL_CONFIG
from tests.store_suite.side_door import wire

TABLE = "payroll-calculation-rules"
RULE = {"plan_id": "A B", "calc_type": "match"}


def rule(**attributes: dict[str, Any]) -> dict[str, Any]:
    return wire("CLIENT#A B", "CALC#match") | attributes


def account(value: dict[str, Any]) -> dict[str, Any]:
    return wire("CLIENT#ACME_Weekly", "ACH") | {"account_number": value}


def test_an_attribute_that_cannot_be_read_is_told_with_its_place_and_the_commands_that_mend_it() -> None:
    with pytest.raises(ItemDecodeError) as raised:
        CALCULATION_RULE.decode(rule(max_pct={"S": "six"}), TABLE, identity=RULE)
    mended = "`bluestar-store rule set 'A B' match KEY=VALUE` or `bluestar-store rule delete 'A B' match` mends it"
    assert raised.value.mending == mended
    assert (raised.value.where, raised.value.attribute) == (TABLE, "max_pct")
    assert (raised.value.pk, raised.value.sk) == ("CLIENT#A B", "CALC#match")


def test_nothing_is_said_to_mend_what_has_no_place_in_a_table_or_no_command() -> None:
    with pytest.raises(ItemDecodeError) as raised:
        CALCULATION_RULE.decode(rule(max_pct={"S": "six"}))
    assert (raised.value.where, raised.value.mending) == ("calculation-rules", "")


@pytest.mark.parametrize("lost", [True, False])
def test_a_ciphertext_is_told_with_its_place_its_reason_and_whether_it_is_lost(lost: bool) -> None:
    sealed = SealedValue({"B": MAGIC + b"x"}, MAGIC + b"x", ("agent-config", "PK", "SK", "x"), "lies elsewhere", lost)
    with pytest.raises(EncryptedValueError) as raised:
        ACH_CONFIG.decode(account(sealed), "t")
    error = raised.value
    assert (error.where, error.pk, error.sk, error.attribute) == ("t", "CLIENT#ACME_Weekly", "ACH", "account_number")
    assert (error.reason, error.is_lost) == ("lies elsewhere", lost)


def test_a_ciphertext_that_nobody_tried_to_read_names_the_table_of_its_kind_and_the_setting() -> None:
    with pytest.raises(EncryptedValueError, match="set BLUESTAR_ENCRYPTION_KEY") as raised:
        ACH_CONFIG.decode(account({"B": MAGIC + b"x"}))
    assert (raised.value.where, raised.value.is_lost) == ("agent-config", False)


def test_every_mistake_of_new_values_is_told_in_plain_words() -> None:
    with pytest.raises(InvalidEntityError) as raised:
        CALCULATION_RULE.made(plan_id="ACME", max_pct="six", age_threshold=-1)
    assert str(raised.value).startswith("CalculationRule: calc_type: Field required; max_pct: ")
    assert "; age_threshold: " in str(raised.value)
    assert "Input should" not in str(raised.value)
    assert "Value error" not in str(raised.value)
    with pytest.raises(InvalidEntityError, match=r"^ClientConfig: deadline_hour: should be "):
        CLIENT_CONFIG.made(plan_id="ACME", pay_freq="Weekly", deadline_hour=object())


def test_an_entity_of_another_class_than_the_stores_is_told() -> None:
    said = (
        "this Store keeps calculation-rule as CalculationRule, not AchConfig; "
        "a class of your own is registered when the Store is opened"
    )
    with pytest.raises(InvalidEntityError) as raised:
        CALCULATION_RULE.validated(AchConfig(plan_id="ACME", pay_freq="Weekly"))  # type: ignore[arg-type]  # the point
    assert str(raised.value) == said


def test_a_validated_entity_knows_where_it_was_read() -> None:
    read = CALCULATION_RULE.decode(rule(version={"N": "3"}))
    again = CALCULATION_RULE.validated(read.model_copy(update={"description": "new"}))
    assert again.origin is not None
    assert again.origin is read.origin
    assert again.origin.version == 3
    assert CALCULATION_RULE.validated(CalculationRule(plan_id="A", calc_type="match")).origin is None


def test_what_a_cache_calls_items_and_partitions_follows_from_their_keys() -> None:
    assert CALCULATION_RULE.partition_cache_keys("CLIENT#ACME") == (("calculation-rule*", "ACME"),)
    assert CALCULATION_RULE.partition_cache_keys("VENDOR#ADP") == ()
    assert VALIDATION_RULE.partition_cache_keys("CATEGORY#SSN") == (("validation-rule*", "SSN", "GLOBAL"),)
    assert CALCULATION_RULE.item_cache_key("ACME", "match") == ("calculation-rule", "ACME", "match")


def test_a_model_shows_names_and_values_and_masks_numbers_by_name_only() -> None:
    shown = repr(AchConfigModel("CLIENT#ACME_Weekly", "ACH", account_number="4000123456", bank_id="NWB"))
    assert shown.startswith("AchConfigModel(")
    assert ", " in shown
    assert "4000123456" not in shown
    assert "bank_id='NWB'" in shown


def test_an_extended_kind_is_not_extended_again_and_is_found_where_the_plain_one_is() -> None:
    assert CLIENT_CONFIG.extensible
    assert not PAYROLL_CONFIG.extensible
    assert {CLIENT_CONFIG: 1}[CLIENT_CONFIG] == 1
    assert hash(PAYROLL_CONFIG) == hash(CLIENT_CONFIG) != hash(ACH_CONFIG)
    assert PAYROLL_CONFIG.keys.build({"plan_id": "A", "pay_freq": "W"}) == Key("CLIENT#A_W", "CONFIG")


def test_what_others_put_on_an_item_is_extra_and_shared_when_there_is_none() -> None:
    plain, other = CALCULATION_RULE.decode(rule()), CALCULATION_RULE.decode(rule(bs_level={"S": "x"}))
    assert plain.extra == other.extra == {}
    assert CALCULATION_RULE.decode(rule(tiers={"L": [{"S": "a"}]})).extra == {"tiers": ("a",)}
