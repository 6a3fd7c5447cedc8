"""Values and identifiers of strangers: one clear error, soon."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from bluestar_store import BatchState, CalculationRule, InvalidKeyError, ItemDecodeError, Settings, Store, VendorSchema
from bluestar_store.cli.secrets import with_secrets
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.errors import InvalidEntityError, SeedError
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Put
from bluestar_store.repositories.revisions import Revision
from bluestar_store.rulesets import load
from bluestar_store.rulesets.editing import values_of
from bluestar_store.seeding import baseline, read
from tests.strangers import bounded

__all__ = ["bounded"]  # fixtures

NO_JSON = ["1E+99999999999999999999", "9" * 5000, "[" * 100_000, "NaN", '{"a": 1, "a": 2}', "\ud800"]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: ascii(text)[:9])
def test_a_value_on_a_command_line_that_takes_long_is_none(text: str) -> None:
    with pytest.raises(InvalidEntityError, match="mapping is no JSON"):
        values_of(VENDOR_SCHEMA, [f"mapping={text}"])


def test_a_bank_number_is_read_from_a_pipe_that_somebody_writes_into() -> None:
    reading, writing = os.pipe()
    later = threading.Timer(0.05, os.write, (writing, b"12345\n"))
    later.start()
    assert list(with_secrets(ACH_CONFIG, [f"account_number=@/dev/fd/{reading}"])) == ["account_number=12345"]
    later.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("number", ["9" * 100_000, "9" * 400, "x", ""], ids=range(4))
def test_a_revision_that_a_stranger_wrote_counts_as_none(number: str) -> None:
    nested = "[" * 100_000
    moves = {"bs_move1": {"S": f"{number} {nested}"}, "bs_move2": {"S": f"5 {nested}"}}
    found = Revision.of(moves | {"bs_many": {"N": number}})
    assert [move.keys for move in found.moves.values()] == [()]
    assert found.many is None


@pytest.mark.parametrize("text", ["9" * 1001, "1E+1001", "1E+999999999999999999999", "0." + "9" * 2000, "-1E-5000"])
def test_a_number_that_takes_long_to_look_at_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        exact_json(f'[{{"n": {text}}}]'.encode())


HIDDEN = {
    "\u202e": "U\\+202E RIGHT-TO-LEFT OVERRIDE",
    "\u200b": "U\\+200B ZERO WIDTH SPACE",
    "\ufeff": "U\\+FEFF",
    "\u2028": "U\\+2028",
}


@pytest.mark.parametrize(("char", "named"), HIDDEN.items())
def test_no_new_identifier_has_a_character_that_nobody_sees(char: str, named: str, tmp_path: Path) -> None:
    plan = f"AC{char}ME"
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        load(store, baseline())
        schema = VendorSchema(vendor_id="V", fingerprint="f", plan_id=plan)
        for write in (
            lambda: store.batches.start(plan, "Weekly", 2026),
            lambda: store.batches.put(BatchState(batch_id="b", plan_id=plan)),
            lambda: store.vendor_schemas.put(schema),
            lambda: store.calculation_rules.put(CalculationRule(plan_id=plan, calc_type="match")),
            lambda: store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type=f"m{char}")),
            lambda: store.holds.place(plan, reason="odd"),
            lambda: store.batches.start("ACME", "Weekly", 2026, batch_id=f"B{char}1"),
        ):
            with pytest.raises(InvalidKeyError, match=f"cannot be seen: {named}"):
                write()
    (tmp_path / "calculation-rules.json").write_text(
        json.dumps({"calculation_rules": [{"plan_id": plan, "calc_type": "match"}]})
    )
    with pytest.raises(SeedError, match=named):
        read(tmp_path)


def test_what_lies_under_such_an_identifier_is_read_changed_and_deleted() -> None:
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        table = store.tables.name(CALCULATION_RULE)
        item = {"PK": {"S": "CLIENT#AC\u202eME"}, "SK": {"S": "CALC#match"}, "max_pct": {"N": "5"}}
        store.engine.write(Put(table, item))
        found = store.calculation_rules.get("AC\u202eME", "match")
        assert found.max_pct == 5
        changed = store.calculation_rules.put(found.model_copy(update={"description": "odd"}))
        store.calculation_rules.delete(changed)


def test_a_control_character_is_named() -> None:
    with (
        Store.open(Settings(persistence_mode="memory")) as store,
        pytest.raises(InvalidKeyError, match="control character: U\\+001B"),
    ):
        store.calculation_rules.get("A\x1b[31m", "match")


@pytest.mark.parametrize("number", ["1E+300000", "1E+999999", "-1", "1.5"])
def test_a_version_that_is_none_is_one_error(number: str) -> None:
    item = {"PK": {"S": "CLIENT#ACME"}, "SK": {"S": "CALC#match"}, "version": {"N": number}}
    with pytest.raises(ItemDecodeError, match="version"):
        CALCULATION_RULE.decode(item)
