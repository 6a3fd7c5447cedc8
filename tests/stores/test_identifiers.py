"""Identifiers and names at every door of a Store: nothing new gets one in which something cannot be seen."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bluestar_store import (
    AchConfig,
    BatchState,
    BatchStatus,
    BlueStarError,
    CalculationRule,
    ClientConfig,
    ConfigurationError,
    Entity,
    InvalidEntityError,
    InvalidKeyError,
    PipelineStep,
    PlanHold,
    Settings,
    Store,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.models.audit import Trail
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.persistence import MemoryRulesStore
from bluestar_store.protocols import Put
from bluestar_store.testing.frozen_clock import FrozenClock
from tests.seeded import seeded_store

UNSEEN = {
    "\u202e": "U\\+202E RIGHT-TO-LEFT OVERRIDE",
    "\u200b": "U\\+200B ZERO WIDTH SPACE",
    "\ufeff": "U\\+FEFF",
    "\u2028": "U\\+2028 LINE SEPARATOR",
    "\u3164": "U\\+3164 HANGUL FILLER",
    "\u115f": "U\\+115F",
    "\u2800": "U\\+2800 BRAILLE PATTERN BLANK",
    "\ufe0f": "U\\+FE0F VARIATION SELECTOR-16",
    "\u034f": "U\\+034F",
    "\U000e0041": "U\\+E0041",
    "\U000e0100": "U\\+E0100",
}
ODD, NAMED = "AC\u202eME", "U+202E RIGHT-TO-LEFT OVERRIDE"
REPOSITORIES = (
    *("pipelines", "validation_rules", "calculation_rules", "irs_limits", "client_configs", "ach_configs"),
    *("vendor_schemas", "plan_keys", "holds", "batches", "claims", "results", "audit", "files"),
)
GIVEN: dict[str, Any] = {
    "plan_id": "ACME",
    "pay_freq": "Weekly",
    "year": 2026,
    "batch_id": "B1",
    "batch": "B1",
    "trail": "B1",
    "calc_type": "match",
    "category": "SSN",
    "vendor_id": "V",
    "hold_id": "H1",
    "reason": "odd",
    "step": 100,
    "worker": "w",
    "lease_seconds": 60.0,
    "result": {},
    "action": "look",
    "actor": "me",
    "columns": ["a"],
    "created_by": "me",
    "released_by": "me",
    "path": "a",
    "src": "a",
    "dst": "b",
    "data": b"",
    "details": {},
    "number": 1,
    "limit": 1,
    "level": "ACME",
    "client_id": "ACME",
    "field": "ssn",
    "state": {},
    "prefix": "",
}
"""A value for each parameter that names something, or goes with one that does."""


@pytest.fixture
def store() -> Iterator[Store]:
    with seeded_store(files_url="memory://", clock=FrozenClock()) as store:
        store.batches.start("ACME", "BiWeeklyFri", 2026, "B1")
        store.holds.place("NORTHWIND", "late", hold_id="H1")
        yield store


def texts() -> list[tuple[str, str, str]]:
    """Every parameter that is a text, of every public call of a Store and what it has."""
    found = []
    with Store.open(Settings(persistence_mode="memory", files_url="memory://")) as store:
        for owner in ("", *REPOSITORIES):
            thing = getattr(store, owner) if owner else store
            for name in dir(thing):
                if name.startswith("_") or isinstance(inspect.getattr_static(thing, name), property):
                    continue  # old names warn
                if inspect.ismethod(call := getattr(thing, name)):
                    parameters = inspect.signature(call).parameters.values()
                    names = [one.name for one in parameters if re.search(r"\bstr\b(?!,)", str(one.annotation))]
                    found += [(owner, name, one) for one in names]
    return found


def called(call: Callable[..., Any], odd: str) -> Any:
    """The call with a value for each parameter, and the odd identifier for one of them."""
    parameters = inspect.signature(call).parameters.values()
    wanted = [one for one in parameters if one.name == odd or one.default is inspect.Parameter.empty]
    plain = [one.name for one in wanted if re.search("str|int|float|bytes|Mapping", str(one.annotation))]
    given = {name: ODD if name == odd else GIVEN[name] for name in plain if name in GIVEN}
    if len(given) < len(wanted):
        pytest.skip("takes an entity, which has identifiers of its own")
    return call(**given)


def stored(store: Store) -> str:
    tables = store.tables.specs()
    return str([list(store.engine.scan(table.name).items) for table in tables]) + str(store.files.list_files())


@pytest.mark.filterwarnings("ignore:.* is .* now:DeprecationWarning")  # old names are public calls, too
@pytest.mark.parametrize(("owner", "name", "parameter"), texts())
def test_no_call_stores_an_identifier_in_which_something_cannot_be_seen(
    store: Store, owner: str, name: str, parameter: str
) -> None:
    call = getattr(getattr(store, owner) if owner else store, name)
    try:
        called(call, parameter)
    except (InvalidKeyError, InvalidEntityError) as error:
        assert NAMED in str(error)  # noqa: PT017  # what is only read may be told to be missing
    except BlueStarError:
        pass  # it is not there
    if parameter in ("reason", "data"):  # texts, and no names
        return
    assert ODD not in stored(store)


def entities() -> list[tuple[Entity, str]]:
    """One of each kind that has a repository, and each of its fields that is a name."""
    made: list[Entity] = [
        PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=1, subroutine_name="s"),
        ValidationRule(category="SSN", plan_id="ACME", number=1),
        CalculationRule(plan_id="ACME", calc_type="match"),
        ClientConfig(plan_id="ACME", pay_freq="Weekly", custodian="c"),
        AchConfig(plan_id="ACME", pay_freq="Weekly", bank_id="b", ach_method="m"),
        VendorSchema(vendor_id="V", fingerprint="f", plan_id="ACME", pay_freq="Weekly"),
        PlanHold(plan_id="ACME", hold_id="H", created_by="me", released_by="me", batch_id="B1"),
        BatchState(batch_id="B2", plan_id="ACME", pay_freq="Weekly"),
    ]
    names: tuple[str, ...] = (
        "plan_id",
        "pay_freq",
        "batch_id",
        "hold_id",
        "calc_type",
        "category",
        "vendor_id",
        "fingerprint",
    )
    names += ("created_by", "released_by", "bank_id", "custodian", "ach_method", "subroutine_name")
    return [(entity, name) for entity in made for name in names if name in type(entity).model_fields]


@pytest.mark.parametrize(
    ("entity", "name"), entities(), ids=lambda one: one if isinstance(one, str) else type(one).__name__
)
def test_no_entity_is_stored_with_one(store: Store, entity: Entity, name: str) -> None:
    odd = entity.model_copy(update={name: ODD})
    put: Callable[[Any], object]
    if isinstance(odd, PipelineStep):
        put = lambda step: store.pipelines.replace(step.plan_id, step.pay_freq, [step])  # noqa: E731
    else:
        put = store.repository(store.tables.kind_of(odd)).put
    with pytest.raises((InvalidKeyError, InvalidEntityError), match=f"{name}.*{re.escape(NAMED)}"):
        put(odd)
    assert ODD not in stored(store)


@pytest.mark.parametrize(("char", "named"), UNSEEN.items(), ids=ascii)
def test_each_of_these_characters_is_told_by_its_number_and_name(store: Store, char: str, named: str) -> None:
    writes: tuple[Callable[[], object], ...] = (
        lambda: store.calculation_rules.put(CalculationRule(plan_id=f"AC{char}ME", calc_type="match")),
        lambda: store.audit.append(f"B{char}", action="look"),
        lambda: store.audit.append(Trail(table="notes", partition=f"N{char}"), action="look"),
        lambda: store.claims.claim(f"B{char}", 100, "w", 60),
        lambda: store.claims.claim("B1", 100, f"w{char}", 60),
        lambda: store.results.save(f"B{char}", 100, {}),
        lambda: store.holds.place("ACME", "late", batch_id=f"B{char}"),
        lambda: store.holds.place("ACME", "late", created_by=f"m{char}"),
        lambda: store.files.write(f"a{char}", b""),
        lambda: store.files.move("a", f"a{char}"),
    )
    for write in writes:
        with pytest.raises((InvalidKeyError, InvalidEntityError), match=f"a character that cannot be seen: {named}"):
            write()
    with pytest.raises(ConfigurationError, match=f"BLUESTAR_ACTOR.*{named}"):
        Settings(persistence_mode="memory", actor=f"m{char}")


@pytest.mark.parametrize("text", ["Zoë", "株式会社", "a b", "naïve\u00a0x", "Ω≈ç", "한글", "🙂"])
def test_other_texts_are_identifiers(store: Store, text: str) -> None:
    store.calculation_rules.put(CalculationRule(plan_id=text, calc_type=text))
    store.batches.start(text, "BiWeeklyFri", 2026, text, actor=text)
    store.audit.append(text, action="look")


def test_what_other_programs_keep_under_one_goes_on(store: Store) -> None:
    table = store.tables.name(BATCH_STATE)
    store.engine.write(Put(table, {"PK": {"S": f"BATCH#{ODD}"}, "SK": {"S": "STATE"}, "plan_id": {"S": "ACME"}}))
    store.batches.advance(store.batches.get(ODD), status=BatchStatus.RUNNING)
    claim = store.claims.claim(ODD, 100, "w", 60)
    store.results.save(ODD, 100, {"n": 1}, claim)
    store.audit.append(ODD, action="look")
    store.holds.place("ACME", "late", batch_id=ODD)
    assert store.batches.history(ODD).results[0].result == {"n": 1}
    hold = {"PK": {"S": "PLAN#ACME"}, "SK": {"S": "HOLD#1"}, "created_by": {"S": ODD}, "reason": {"S": "r"}}
    store.engine.write(Put(store.tables.name(PLAN_HOLD), hold))
    assert store.holds.release("ACME", "1", released_by="me").created_by == ODD
    store.holds.delete(store.holds.get("ACME", "1"))


def test_agents_of_the_drop_in_start_no_batch_or_step_with_one() -> None:
    with MemoryRulesStore() as store:
        writes: tuple[Callable[[], object], ...] = (
            lambda: store.save_batch_state(ODD, {}),
            lambda: store.save_processing_result(ODD, "check", {}),
            lambda: store.save_processing_result("B1", ODD, {}),
            lambda: store.append_audit_entry({"batch_id": ODD, "action": "look"}),
        )
        for write in writes:
            with pytest.raises(InvalidKeyError, match=re.escape(NAMED)):
                write()
        store.append_audit_entry({"batch_id": "B1", "actor": ODD})  # no entry is lost: it tells of that among the rest
    with pytest.raises(InvalidEntityError, match=re.escape(NAMED)):
        MemoryRulesStore(actor=ODD)
