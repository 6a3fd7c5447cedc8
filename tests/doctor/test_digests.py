"""Digests of what is masked that take no key: found and named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import CalculationRule, IrsLimits, Store, Trail
from bluestar_store.doctor import Severity, examine
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from tests.doctor.conftest import Damage
from tests.store_suite.side_door import wire


def test_digests_of_other_masked_attributes_that_take_no_key_are_listed(store: Store, damage: Damage) -> None:
    plain = {"S": "0" * 64}
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#match", employee_ssn="123456789"))
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#text", description="as for 123-45-6789"))
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#none", description="nothing"))
    for name in ("match", "text", "none", "gone"):
        damage(BATCH_STATE, wire(f"BATCH#{name}", "STATE"))
        items = {f"calculation-rules/CLIENT#A/CALC#{name}": plain}
        damage(BATCH_STATE, wire(f"BATCH#{name}", "RULES", items={"M": items}))
        details = {"M": {"item": {"S": f"CALC#{name}"}, "digest_after": plain}}
        damage(BATCH_STATE, wire(f"TRAIL#calculation-rules#CLIENT#{name}", "AUDIT#00000001", details=details, hash="0"))
    changed = {"M": {"ssn": {"M": {"before": {"S": "*****6789"}}}}}
    gone: dict[str, Any] = {"item": {"S": "CALC#gone"}, "digest_before": plain, "changed": changed}
    damage(BATCH_STATE, wire("TRAIL#calculation-rules#CLIENT#A", "AUDIT#00000001", details={"M": gone}, hash="0"))
    for number, result in enumerate(("123-45-6789", "nothing")):
        damage(
            BATCH_STATE, wire("BATCH#none", f"RESULT#000{number}", result={"M": {"text": {"S": result}}}, digest="0")
        )
    damage(BATCH_STATE, wire("BATCH#none", "AUDIT#00000001", details={"M": {"ssn": {"S": "123456789"}}}, hash="0"))
    places = [(finding.pk, finding.sk) for finding in examine(store) if finding.check == "digest-plain"]
    assert sorted(places) == [
        ("BATCH#match", "RULES"),
        ("BATCH#none", "AUDIT#00000001"),
        ("BATCH#none", "RESULT#0000"),
        ("BATCH#text", "RULES"),
        ("TRAIL#calculation-rules#CLIENT#A", "AUDIT#00000001"),
    ]


def plainly(store: Store) -> list[tuple[str | None, str | None]]:
    return sorted((finding.pk, finding.sk) for finding in examine(store) if finding.check == "digest-plain")


def test_digests_of_what_hid_nothing_yet_or_no_longer_are_not_listed(store: Store) -> None:
    rules = store.calculation_rules
    rules.put(CalculationRule(plan_id="ACME", calc_type="late", description="nothing"))
    texts = ("nothing", "not yet", "for 219-09-9999", "for 219-09-9998", "none", "for 219-09-9999")
    for number, text in enumerate(texts):
        rules.put(rules.get("ACME", "late").model_copy(update={"description": text}))
        rules.put(rules.get("ACME", "late").model_copy(update={"max_pct": Decimal(number)}))  # and the text stays
        store.batches.start("ACME", "BiWeeklyFri", 2026, f"b{number}")
        assert plainly(store) == []
    store.irs_limits.put(IrsLimits(year=2031, comp_limit=Decimal(111000025)))  # a number of a field that has numbers
    entries = store.audit.entries(Trail(table="calculation-rules", partition="CLIENT#ACME"))
    made = [str((entry.details or {})["digest_after"]).startswith("hmac-") for entry in entries]
    assert made[-8:] == [True] * 4 + [False] * 2 + [True] * 2
    assert not any(made[:-8])
    assert plainly(store) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plain_digest_of_what_hid_something_is_listed_whatever_the_other_one_is(
    store: Store, damage: Damage, when: str
) -> None:
    other = "after" if when == "before" else "before"
    plain, keyed = {"S": "0" * 64}, {"S": f"hmac-sha256:{'0' * 16}:{'0' * 64}"}
    changed = {"description": {"M": {when: {"S": "for 219-09-9999"}, other: {"S": "nothing"}}}}
    pk = "TRAIL#calculation-rules#CLIENT#A"
    for number, (mine, others) in enumerate([(plain, plain), (plain, keyed), (keyed, plain)]):
        details: dict[str, Any] = {"item": {"S": f"CALC#{number}"}, "changed": {"M": changed}}
        details |= {f"digest_{when}": mine, f"digest_{other}": others}
        damage(BATCH_STATE, wire(pk, f"AUDIT#0000000{number}", details={"M": details}, hash="0", salt="0"))
    assert plainly(store) == [(pk, "AUDIT#00000000"), (pk, "AUDIT#00000001")]


def test_a_plain_digest_of_a_text_that_stayed_is_listed(store: Store, damage: Damage) -> None:
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#x", description="nothing by now"))
    store.calculation_rules.put(
        store.calculation_rules.get("A", "x").model_copy(update={"description": "now 219-09-9999"})
    )
    pk = "TRAIL#calculation-rules#CLIENT#A"
    assert plainly(store) == []
    hiding = {"S": "it was 219-09-9999"}
    for number, changed in (
        (2, {"max_pct": {"M": {"after": {"N": "1"}}}}),
        (3, {"description": {"M": {"before": hiding}}}),
    ):
        details: dict[str, Any] = {"item": {"S": "CALC#x"}, "changed": {"M": changed}}
        details |= {"digest_after": {"S": f"{number}" * 64}} if number == 2 else {}
        damage(BATCH_STATE, wire(pk, f"AUDIT#0000000{number}", details={"M": details}, hash="0", salt="0"))
    damage(BATCH_STATE, wire("BATCH#old", "STATE"))
    pinned = {"calculation-rules/CLIENT#A/CALC#x": {"S": "2" * 64}}
    damage(BATCH_STATE, wire("BATCH#old", "RULES", items={"M": pinned}))
    assert plainly(store) == [("BATCH#old", "RULES"), (pk, "AUDIT#00000002")]


def test_digests_of_bank_accounts_that_take_no_key_are_listed(store: Store, damage: Damage) -> None:
    plain, keyed = {"S": "0" * 64}, {"S": f"hmac-sha256:{'0' * 16}:{'0' * 64}"}
    for batch_id, made in (("old", plain), ("new", keyed)):
        items = {"agent-config/CLIENT#A/B_Weekly/ACH": made, "calculation-rules/CLIENT#GLOBAL/CALC#match": plain}
        damage(BATCH_STATE, wire(f"BATCH#{batch_id}", "STATE"))
        damage(BATCH_STATE, wire(f"BATCH#{batch_id}", "RULES", items={"M": items}))
        for sk in ("ACH", "CONFIG"):
            details = {"M": {"item": {"S": sk}, "digest_after": made}}
            pk = f"TRAIL#agent-config#CLIENT#{batch_id}-{sk}_Weekly"
            damage(BATCH_STATE, wire(pk, "AUDIT#00000001", details=details, hash="0"))
    found = examine(store)
    assert {finding.check for finding in found if finding.severity is not Severity.INFO} == set()
    places = [(finding.pk, finding.sk) for finding in found if finding.check == "digest-plain"]
    assert sorted(places) == [
        ("BATCH#old", "RULES"),
        ("TRAIL#agent-config#CLIENT#old-ACH_Weekly", "AUDIT#00000001"),
    ]
