"""What is never shown whole: by its type, by its name, by its digits."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import (
    AchConfig,
    CalculationRule,
    ClientConfig,
    ConfigurationError,
    IrsLimits,
    SensitiveText,
    Settings,
    Store,
    seeding,
)
from bluestar_store.cli.records import plain
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.redaction.masking import has_secrets, masked_digits, redacted, sensitive_fields
from bluestar_store.redaction.names import IDENTIFIERS, is_secret_name
from tests.planted import ACCOUNT


class PayeeConfig(ClientConfig):
    """With a field of a user's own."""

    payee_reference: SensitiveText | None = None
    references: tuple[SensitiveText, ...] = ()


def test_text_of_the_type_is_masked_in_every_repr_and_else_text_like_any_other() -> None:
    number = AchConfig(plan_id="A", pay_freq="W", account_number=ACCOUNT).account_number
    copied = pickle.loads(pickle.dumps(number))  # noqa: S301  # our own
    assert (number, f"{number}", str(number), len(number or "")) == (ACCOUNT, ACCOUNT, ACCOUNT, 12)
    for again in (number, copied, copy.deepcopy(number), [number], {"a": {"S": number}}):
        assert "********5541" in repr(again)
        assert ACCOUNT not in repr(again)


def test_a_users_own_field_is_sensitive_by_its_type() -> None:
    made = PayeeConfig(plan_id="A", pay_freq="W", payee_reference=ACCOUNT, references=(ACCOUNT,))
    assert ACCOUNT not in f"{made!r} {made} {made.__dict__}"
    assert sensitive_fields(PayeeConfig) == {"payee_reference", "references"}
    assert made.payee_reference == ACCOUNT


@pytest.mark.parametrize(
    "name",
    [
        "ssn",
        "employee_ssn",
        "EESSN",
        "SSNs",
        "acctNumber",
        "acct_no",
        "ACCTNO",
        "account",
        "Account-No",
        "accountnumber",
        "bankaccount",
        "cardNumber",
        "card",
        "creditcard",
        "routing_number",
        "RTN",
        "abaNumber",
        "iban",
        "dob",
        "employeeDOB",
        "dateOfBirth",
        "tax_id",
        "taxId",
        "tin",
        "itin",
        "accountnumbers",
        "dateofbirth",
        "birthdate",
        "socialsecuritynumber",
        "achaccount",
        "depositacct",
        "abartn",
        "bankAccountNumber",
        "acct-no",
        "S.S.N.",
        "iBAN",
        "tax_identification_number",
        "tax_identifier",
        "dda",
        "ddaNumber",
        "spousessn",
        "ownerssn",
        "dependentssn",
        "spousedob",
        "directdepositaccount",
        "payrollaccount",
        "fundingacctno",
        "socSecNo",
        "ss_number",
        "SS_No",
        "date_birth",
    ],
)
def test_names_are_found_by_their_words(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "discard",
        "cardinal",
        "discount",
        "accounting_period",
        "setting",
        "continental",
        "panel",
        "company",
        "martin",
        "database",
        "deadline_hour",
        "ach_method",
        "max_401k",
        "returned",
        "birth_rate",
        "access_number",
        "accessnumber",
        "process_n",
        "class_no",
        "business_number",
        "accountant",
        "accounting",
        "japan",
        "address_number",
        "timecard",
        "hire_date",
        "date_hired",
        "tax_year",
        "transit",
    ],
)
def test_other_words_that_have_such_a_word_in_them_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_values_under_a_name_are_masked_however_deep_and_what_has_no_digit_is_not() -> None:
    value = {"payee": ({"acctNumber": ACCOUNT},), "account": {"number": ACCOUNT}, "accountHolder": "JANE DOE"}
    shown = redacted("result", value)
    assert ACCOUNT not in repr(shown)
    assert shown["accountHolder"] == "JANE DOE"


def test_what_ships_is_shown_as_it_is() -> None:
    for entity in (*seeding.baseline().entities, *seeding.read("fixtures/demo").entities):
        texts = [value for value in dict(entity).values() if isinstance(value, str) and type(value) is str]
        assert [masked_digits(text) for text in texts] == texts


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ref", 111000025, "*****0025"),
        ("ref", Decimal("4111111111111111"), "************1111"),
        ("ref", 111000024, 111000024),
        ("employee_id", "987654329", "*****4329"),
        ("employeeId", "E-987-65-4329", "E-*******4329"),
        ("emp_no", 987654329, "*****4329"),
        ("memo", b"to 021000021", b"to *****0021"),
        ("paid", {"4111111111111111": 1, "4111111111111111x": 2}, {"*" * 12 + "1111": 1, "*" * 12 + "1111x": 2}),
        ("accounts", {"998877665541": "J", "118877665541": "K"}, {"********5541": "J", "********5541 (2)": "K"}),
    ],
)
def test_numbers_bytes_keys_of_maps_and_ids_of_people_are_masked(name: str, value: Any, shown: Any) -> None:
    assert redacted(name, value) == shown
    assert redacted("free", {name: (value,)}) == {name: (shown,)}
    assert plain({name: value})[name] == plain(value, name)


def test_a_number_of_a_field_that_is_declared_as_one_is_shown() -> None:
    assert "111000025" in repr(IrsLimits(year=2026, comp_limit=Decimal(111000025)))


def test_a_copy_is_as_masked_as_what_it_was_copied_from() -> None:
    made = PayeeConfig(plan_id="A", pay_freq="W")
    copies = [
        made.model_copy(update={"payee_reference": ACCOUNT, "references": (ACCOUNT,)}),
        PayeeConfig.model_construct(plan_id="A", pay_freq="W", payee_reference=ACCOUNT, references=(ACCOUNT,)),
    ]
    for copied in (*copies, pickle.loads(pickle.dumps(copies[0])), copy.copy(copies[0])):  # noqa: S301  # our own
        assert copied.payee_reference == ACCOUNT
        assert ACCOUNT not in f"{copied!r} {copied.__dict__}"
    assert ACCOUNT not in repr(made.model_copy(update={"payee_reference": int(ACCOUNT)}))


def test_what_a_set_holds_is_masked() -> None:
    assert redacted("notes", frozenset({"ssn 123-45-6789"})) == {"ssn *******6789"}


def test_a_bad_list_of_names_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_MASKED_NAMES"):
        Settings(masked_names="account,--")


def test_the_setting_takes_the_place_of_the_defaults() -> None:
    code = (
        "from bluestar_store import Settings, Store; "
        "from bluestar_store.redaction.names import is_secret_name as is_one;"
        "assert is_one('ssn') and not is_one('konto');"
        "Store.open(Settings(persistence_mode='memory', masked_names='konto, steuer nummer'));"
        "assert is_one('konto_nr') and is_one('steuerNummer') and not is_one('ssn');"
        "Store.open(Settings(persistence_mode='memory', masked_names='badge'));"
        "assert is_one('konto') and is_one('badge')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_key_fields_hide_nothing_elsewhere() -> None:
    with Store.open(Settings(persistence_mode="memory")) as store:
        names = {field for mapper in store.tables.kinds for field in mapper.keys.fields} - IDENTIFIERS
        for name in names:
            assert has_secrets({name: "123-45-6789"}), name
            assert "123-45-6789" not in str(redacted("details", {name: "123-45-6789"})), name
        rule = CalculationRule(plan_id="ACME", calc_type="021000021")
        assert "calc_type='021000021'" in repr(rule)
        assert redacted("", rule)["calc_type"] == "021000021"
        assert ":" not in store.sessions.digests.of(CALCULATION_RULE, rule)  # which takes no key
