"""Whatever fails in a public call, no variable of the library's frames shows what lies in the items."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import pickle
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

import bluestar_store
from bluestar_store import (
    ABSENT,
    AchConfig,
    AsyncStore,
    BatchStatus,
    CalculationRule,
    ClientConfig,
    IrsLimits,
    PipelineStep,
    Settings,
    Store,
    ThrottledError,
    UnavailableError,
    ValidationRule,
    documents,
    persistence,
    seeding,
)
from bluestar_store.cli import app
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.errors import BlueStarError
from bluestar_store.files import open_files
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.persistence import EngineRulesStore, MemoryRulesStore, SQLClient
from bluestar_store.protocols import Engine, Put, TableSpec, scan_pages
from bluestar_store.rulesets.plan_difference import diff_plans
from bluestar_store.testing import FakeRepository, FaultEngine
from bluestar_store.testing.faults import any_call
from bluestar_store.transfer import export, import_
from bluestar_store.unit_of_work import unit_of_work
from bluestar_store.warming import warm
from tests.planted import ACCOUNT, SSN, leaks, raised_by

RESULT = {"rows": ({"ssn": SSN, "memo": ACCOUNT},)}


def ach(plan_id: str = "ACME") -> AchConfig:
    return AchConfig(plan_id=plan_id, pay_freq="Weekly", account_number=ACCOUNT)


@pytest.fixture(scope="module")
def planted() -> bytes:
    """A store's tables with planted values wherever another program could put some."""
    engine = MemoryEngine()
    with Store(Settings(persistence_mode="memory"), engine) as store:
        store.create_tables()
        store.irs_limits.put(IrsLimits(year=2026))
        store.pipelines.replace("DEFAULT", "Weekly", [step(100, "DEFAULT"), step(200, "DEFAULT")])
        for level in ("GLOBAL", "ACME"):
            store.validation_rules.put(ValidationRule(category="SSN", plan_id=level, number=1, field="ssn"))
        store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly"))
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        store.ach_configs.put(ach())
        batch = store.batches.start("ACME", "Weekly", 2026, "b1")
        batch = store.batches.advance(batch, status=BatchStatus.RUNNING)
        claim = store.claims.claim(batch, 100, "w", 3600)
        store.results.save(batch, 100, RESULT, claim=claim)
        store.audit.append("b1", action="pay", details=RESULT)
        store.holds.place("BETA", reason=f"memo {ACCOUNT}", hold_id="h1")
        for spec in store.tables.specs():
            items = [item for page in scan_pages(engine, spec.name) for item in page]
            engine.put_many(spec.name, [{**item, "memo": {"S": f"{ACCOUNT} {SSN}"}} for item in items])
        return pickle.dumps(
            {
                spec.name: [one for page in scan_pages(engine, spec.name) for one in page]
                for spec in store.tables.specs()
            }
        )


def opened(planted: bytes) -> tuple[Store, FaultEngine]:
    engine = MemoryEngine()
    faults = FaultEngine(engine)
    store = Store(Settings(persistence_mode="memory"), faults)
    engine.create_tables(store.tables.specs())
    for name, items in pickle.loads(planted).items():  # noqa: S301  # our own
        engine.put_many(name, items)
    return store, faults


def in_a_unit(store: Store) -> None:
    with store.unit_of_work() as uow:
        uow.ach_configs.put(ach("BETA"))
        uow.results.save("b1", 200, RESULT)


def awaited(call: Callable[[AsyncStore], Any]) -> Callable[[Store], object]:
    def run(store: Store) -> object:
        async def block() -> object:
            return await call(AsyncStore(store))

        return asyncio.run(block())

    return run


async def async_unit(store: AsyncStore) -> None:
    async with store.unit_of_work() as uow:
        await uow.ach_configs.put(ach("BETA"))
        await uow.results.save("b1", 200, RESULT)


def dropin(call: Callable[[EngineRulesStore], object]) -> Callable[[Store], object]:
    return lambda store: call(EngineRulesStore(store.engine, store.tables))


def step(order: int, plan_id: str = "ACME") -> PipelineStep:
    return PipelineStep(
        plan_id=plan_id, pay_freq="Weekly", step_order=order, agent="IDP", description=f"memo {ACCOUNT}"
    )


ERRORS = (UnavailableError, KeyboardInterrupt, ThrottledError)


FAILING = ("get", "query", "scan", "write", "put_many", "create_tables", "describe")


CALLS: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create_tables(upgrade=True),
    "describe": lambda store: store.describe_tables(),
    "get": lambda store: store.ach_configs.get("ACME", "Weekly"),
    "get a rule": lambda store: store.calculation_rules.get("ACME", "match"),
    "rules": lambda store: store.calculation_rules.all("ACME"),
    "category": lambda store: store.validation_rules.for_category("SSN", plan_id="ACME"),
    "steps": lambda store: store.pipelines.steps("ACME", "Weekly"),
    "limits": lambda store: store.irs_limits.all(),
    "put": lambda store: store.ach_configs.put(store.ach_configs.get("ACME", "Weekly")),
    "put a new one": lambda store: store.ach_configs.put(ach("BETA")),
    "delete": lambda store: store.ach_configs.delete(store.ach_configs.get("ACME", "Weekly")),
    "current": lambda store: store.ach_configs.current([ach()]),
    "replace": lambda store: store.pipelines.replace("ACME", "Weekly", [step(1), step(2)]),
    "plans": lambda store: (store.plans(), store.categories(), store.vendors()),
    "overrides": lambda store: (store.overrides("ACME"), store.at_level("GLOBAL"), store.rules_of_type("match")),
    "snapshot": lambda store: store.plan_snapshot("ACME", "Weekly", 2026),
    "start": lambda store: store.batches.start("ACME", "Weekly", 2026, "b2"),
    "advance": lambda store: store.batches.advance(store.batches.get("b1"), status=BatchStatus.ON_HOLD),
    "history": lambda store: store.batches.history("b1"),
    "verify": lambda store: store.batches.verify_rules(store.batches.get("b1")),
    "for plan": lambda store: store.batches.for_plan("ACME"),
    "claim": lambda store: store.claims.claim("b1", 200, "w", 60),
    "save": lambda store: store.results.save("b1", 200, RESULT),
    "save another": lambda store: store.results.save("b1", 100, {**RESULT, "more": ACCOUNT}),
    "results": lambda store: store.results.for_batch("b1"),
    "append": lambda store: store.audit.append("b1", action="pay", details=RESULT),
    "entries": lambda store: (store.audit.entries("b1"), store.audit.verify("b1")),
    "hold": lambda store: store.holds.place("ACME", reason=f"memo {ACCOUNT}"),
    "release": lambda store: store.holds.release("BETA", "h1"),
    "holds": lambda store: store.holds.all_open(),
    "unit": in_a_unit,
    "decorated": lambda store: unit_of_work(store)(lambda memo: in_a_unit(store))(ACCOUNT),
    "load": lambda store: seeding.load(store, seeding.RuleSet((ach("BETA"), ach())), overwrite=True),
    "compare": lambda store: seeding.compare(store, seeding.RuleSet((ach("BETA"), ach())), prune=True),
    "difference": lambda store: diff_plans(store, "ACME", "BETA"),
    "warm": lambda store: warm(store, ["ACME"]),
    "awaited get": awaited(lambda store: store.ach_configs.get("ACME", "Weekly")),
    "awaited put": awaited(lambda store: store.ach_configs.put(ach("BETA"))),
    "awaited save": awaited(lambda store: store.results.save("b1", 200, RESULT)),
    "awaited snapshot": awaited(lambda store: store.plan_snapshot("ACME", "Weekly", 2026)),
    "awaited unit": awaited(async_unit),
    "drop-in ach": dropin(lambda store: store.get_ach_config("ACME", "Weekly")),
    "drop-in rule": dropin(lambda store: store.get_calculation_rule("ACME", "match")),
    "drop-in steps": dropin(lambda store: store.get_pipeline_steps("ACME", "Weekly")),
    "drop-in rules": dropin(lambda store: store.get_client_validation_rules("ACME", "ssn")),
    "drop-in state": dropin(lambda store: store.save_batch_state("b1", {"memo": ACCOUNT})),
    "drop-in result": dropin(lambda store: store.save_processing_result("b1", "pay", {"ssn": SSN})),
    "drop-in entry": dropin(lambda store: store.append_audit_entry({"batch_id": "b1", "ssn": SSN, "memo": ACCOUNT})),
    "drop-in reads": dropin(lambda store: (store.get_batch_state("b1"), store.get_processing_results("b1"))),
}


class At:
    """The engine fails once, at this one of its calls."""

    def __init__(self, number: int) -> None:
        self.left, self._error = number, ERRORS[number % len(ERRORS)]("asked for")

    def __call__(self, call: object) -> None:
        self.left -= 1
        if self.left == -1:
            raise self._error


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("what", CALLS)
def test_no_call_that_fails_shows_what_is_in_the_items(planted: bytes, what: str, after: bool) -> None:
    """Wherever the engine fails, before or after it did the call."""
    failed = 0
    for number in range(30):
        store, engine = opened(planted)
        fails = At(number)
        engine.faults._add(FAILING, after, any_call, fails, math.inf)
        error = raised_by(CALLS[what], store)
        if fails.left >= 0:
            break  # there are no more calls
        if error is not None:
            failed += 1
            assert leaks(error) == []
    assert failed


def documents_in(folder: Path) -> documents.FileStore:
    return documents.FileStore("people", "id", settings=Settings(persistence_mode="file", file_persistence_dir=folder))


def damaged(folder: Path) -> documents.FileStore:
    store = documents_in(folder)
    (folder / "people.json").write_text(f'[{{"id": "1", "ssn": "{SSN}", "memo": "{ACCOUNT}", }}]')
    return store


def sql(statement: str, parameters: object) -> None:
    with SQLClient("sqlite://") as client:
        client.execute("CREATE TABLE pay (ssn TEXT PRIMARY KEY, n INT NOT NULL)")
        client.execute("INSERT INTO pay VALUES (:ssn, 1)", {"ssn": SSN})
        with client.transaction():
            client.execute(statement, parameters)  # type: ignore[arg-type]


def rules_in(folder: Path, **values: object) -> Path:
    one = {"plan_id": "ACME", "pay_freq": "Weekly", "account_number": ACCOUNT, **values}
    (folder / "agent-config.json").write_text(json.dumps({"ach_configs": [one]}))
    return folder


def exported(folder: Path, spoil: Callable[[bytes], bytes]) -> Path:
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        store.ach_configs.put(ach())
        store.results.save("b1", 1, RESULT)
        export(store, folder / "export")
    for path in (folder / "export").glob("*.jsonl"):
        path.write_bytes(spoil(path.read_bytes()))
    return folder / "export"


def imported(folder: Path, spoil: Callable[[bytes], bytes]) -> None:
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        import_(store, exported(folder, spoil))


def broken_stream(folder: Path) -> None:
    with open_files(f"file://{folder}").open("a/b", "wb") as file:
        file.write(ACCOUNT.encode())
        file.write(ACCOUNT)  # type: ignore[arg-type]


def command(folder: Path, *words: str, text: str | None = None) -> None:
    done = CliRunner().invoke(app, ["--mode", "file", "--dir", str(folder), *words], input=text)
    assert done.exit_code not in (0, 3), done.output
    assert done.exception is not None
    raise done.exception


def make_items_twice(engine: Engine) -> None:
    spec = TableSpec("pay", ())
    engine.create_tables([spec])
    for _ in range(2):
        engine.write(Put("pay", {"PK": {"S": "a"}, "SK": {"S": "b"}, "memo": {"S": ACCOUNT}}, ABSENT))


def account_in(folder: Path) -> str:
    (folder / "number.txt").write_text(ACCOUNT)
    return f"account_number=@{folder}/number.txt"


def fake(**values: object) -> object:
    repository = FakeRepository(ACH_CONFIG, [ach()])
    return repository.put(ach().model_copy(update=values), expected=bluestar_store.ABSENT)


OTHERS: dict[str, Callable[[Path], object]] = {
    "document twice": lambda folder: [documents_in(folder).create({"id": "1", "ssn": SSN}) for _ in "12"],
    "document of no type": lambda folder: documents_in(folder).create({"id": "1", "ssn": SSN, "x": object()}),
    "document too large": lambda folder: documents_in(folder).create({"id": "1", "ssn": SSN, "x": "y" * 500_000}),
    "document that is not there": lambda folder: documents_in(folder).update_fields("1", {"ssn": SSN}),
    "damaged documents": lambda folder: damaged(folder).list(),
    "damaged documents, written": lambda folder: damaged(folder).create({"id": "2", "ssn": SSN}),
    "damaged documents, imported": lambda folder: documents.import_documents(
        [documents_in(folder)], damaged(folder).folder / "people.json"
    ),
    "statement twice": lambda _: sql("INSERT INTO pay VALUES (:ssn, 1)", {"ssn": SSN}),
    "statement with null": lambda _: sql("INSERT INTO pay VALUES (:ssn, NULL)", {"ssn": ACCOUNT}),
    "statement of none": lambda _: sql("INSRT INTO pay VALUES (:ssn, NULL)", [{"ssn": ACCOUNT}, {"ssn": SSN}]),
    "statement without its parameters": lambda _: sql("INSERT INTO pay VALUES (:other, 1)", {"ssn": SSN}),
    "parameters that are none": lambda _: sql("INSERT INTO pay VALUES (:ssn, 1)", [SSN]),
    "a value that SQL has not": lambda _: sql("INSERT INTO pay VALUES (:ssn, 1)", {"ssn": {"ssn": SSN}}),
    "rules of a wrong type": lambda folder: seeding.read(rules_in(folder, account_number=int(ACCOUNT))),
    "rules with more": lambda folder: seeding.read(rules_in(folder, employee_ssn=SSN)),
    "import of what is no JSON": lambda folder: imported(folder, lambda line: line[:-9]),
    "import of no item": lambda folder: imported(folder, lambda line: line.replace(b'"S"', b'"Q"')),
    "import of another version": lambda folder: imported(folder, lambda line: line.replace(b"ACME", b"ACMF")),
    "file of no bytes": lambda folder: open_files(f"file://{folder}").write("a", [ACCOUNT]),  # type: ignore[arg-type]
    "file over a folder": lambda folder: open_files(f"file://{folder}").write("..", ACCOUNT),
    "a stream of no bytes": broken_stream,
    "memory file": lambda _: open_files("memory://").write("a", [ACCOUNT]),  # type: ignore[arg-type]
    "engine, there already": lambda _: make_items_twice(MemoryEngine()),
    "engine in a folder": lambda folder: make_items_twice(FileEngine(folder)),
    "no tables": lambda folder: command(
        folder, "config", "set", "ACME", "Weekly", account_in(folder), "--ach", "--yes"
    ),
    "command with rules": lambda folder: command(folder, "seed", "--from", str(rules_in(folder, employee_ssn=SSN))),
    "command with export": lambda folder: command(folder, "import", str(exported(folder, lambda line: line[:-9]))),
    "command with documents": lambda folder: command(
        folder, "documents", "import", str(damaged(folder).folder / "people.json"), "people:id"
    ),
    "fake of a wrong type": lambda _: fake(account_number=int(ACCOUNT)),
    "fake that is there": lambda _: fake(),
    "drop-in, two frequencies": lambda _: MemoryRulesStore({"agent-config": [{"PK": "A", "ssn": SSN}]}),
    "drop-in, no value": lambda _: MemoryRulesStore().save_processing_result("b", "s", {"ssn": SSN, "x": object()}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_neither_does_another_call_that_fails(what: str, tmp_path: Path) -> None:
    error = raised_by(OTHERS[what], tmp_path)
    assert error is not None
    assert leaks(error) == []


MODULES = (bluestar_store, bluestar_store.seeding, documents, persistence)


def is_protocol(one: type) -> bool:
    return getattr(one, "_is_protocol", False)


def public() -> Iterator[tuple[str, Any]]:
    for module in MODULES:
        for name in module.__all__:
            one = getattr(module, name)
            if inspect.isfunction(one):
                yield name, one
            elif inspect.isclass(one) and not (is_protocol(one) or issubclass(one, (BaseModel, BlueStarError, Enum))):
                yield from ((f"{name}.{method}", call) for method, call in inspect.getmembers(one, inspect.isfunction))


def test_every_public_call_is_quiet() -> None:
    loud = {
        name
        for name, call in public()
        if not name.rpartition(".")[2].startswith("_") and not hasattr(call, "__wrapped__")
    }
    assert loud == set()
