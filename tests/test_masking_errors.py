"""Errors keep no value that is masked, whatever makes an entity or a setting."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import Any

import pytest
from pydantic import ValidationError

from bluestar_store import AchConfig, ConfigurationError, InvalidEntityError, Settings
from bluestar_store.models.config import ACH_CONFIG
from tests.planted import ACCOUNT


def told(error: BaseException) -> str:
    """All that a report of an error may have of it."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "".join(lines) + repr(error) + repr(pickle.dumps(error))


@pytest.mark.parametrize(
    "make",
    [
        lambda values: AchConfig(**values),
        lambda values: AchConfig.model_validate(values),
        lambda values: AchConfig.model_validate_json(json.dumps(values)),
        lambda values: AchConfig.model_validate_strings(values),
    ],
)
def test_no_way_to_make_an_entity_has_an_error_with_values(make: Any) -> None:
    values = {"plan_id": "A", "pay_freq": "W", "account_number": {"n": ACCOUNT}, "employee_ssn": ACCOUNT}
    with pytest.raises(ValidationError) as raised:
        make(values)
    inner = raised.value.__traceback__.tb_next.tb_next if raised.value.__traceback__ else None  # type: ignore[union-attr]
    lines = traceback.StackSummary.extract(traceback.walk_tb(inner), capture_locals=True).format()
    assert ACCOUNT not in "".join(lines) + repr(raised.value.errors())


def test_an_error_of_pydantics_keeps_no_value() -> None:
    with pytest.raises(ValidationError) as raised:
        AchConfig(plan_id="A", pay_freq="W", account_number=int(ACCOUNT), employee_ssn=ACCOUNT)  # type: ignore[call-arg, arg-type]
    inner = raised.value.__traceback__.tb_next if raised.value.__traceback__ else None
    lines = traceback.StackSummary.extract(traceback.walk_tb(inner), capture_locals=True).format()
    assert ACCOUNT not in "".join(lines) + repr(pickle.dumps(raised.value)) + repr(raised.value.errors())
    assert [error["loc"] for error in raised.value.errors()] == [("account_number",), ("employee_ssn",)]


def test_an_error_of_the_librarys_keeps_no_value() -> None:
    def made(**values: Any) -> str:
        try:
            ACH_CONFIG.made(plan_id="A", pay_freq="W", **values)
        except InvalidEntityError as error:
            values.clear()
            return told(error)
        raise AssertionError

    assert ACCOUNT not in made(account_number=int(ACCOUNT), routing_number=[ACCOUNT])


def test_an_error_of_a_setting_keeps_none_of_the_others() -> None:
    def made(**values: Any) -> str:
        try:
            Settings(cache_ttl_seconds="soon", **values)
        except ConfigurationError as error:
            values.clear()
            return told(error) + repr(error.__context__)
        raise AssertionError

    assert ACCOUNT not in made(encryption_key=ACCOUNT)
