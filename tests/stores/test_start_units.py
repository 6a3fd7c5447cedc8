"""What `batches.start` reads on marked tables, in read units by AWS's rules, whatever else lies there.

26 steps, 8 calculation rules and 20 validation rules in 6 categories; AdversarialEngine plays DynamoDB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bluestar_store import (
    ANY,
    AchConfig,
    CalculationRule,
    ClientConfig,
    IrsLimits,
    PersistenceMode,
    PipelineStep,
    Settings,
    Store,
    TableLayout,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.engines.checks import MAX_ITEM_BYTES, item_bytes
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import CLIENT_CONFIG
from bluestar_store.models.index_marks import PARTITION
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import Engine
from bluestar_store.repositories.revisions import MOVE
from bluestar_store.testing import FrozenClock, ReadUnitEngine
from tests.adversarial_engine import AdversarialEngine
from tests.store_suite.side_door import wire

MOST_UNITS = 30
PLAN, FREQUENCY = "ACME", "BiWeekly"
BIG = "x" * 100_000


class Started:
    """A store with what a batch needs, on a clock of its own."""

    def __init__(self, layout: TableLayout, *, adversarial: bool = True) -> None:
        self.clock = FrozenClock()
        inner: Engine = MemoryEngine()
        if adversarial:
            inner = AdversarialEngine(now=self.clock.monotonic, spread=0, eventual_spread=0, index_spread=0)
        self.engine = ReadUnitEngine(inner)
        self.settings = Settings(persistence_mode=PersistenceMode.MEMORY, table_layout=layout)
        self.store = self.opened()
        self.store.create_tables()

    def opened(self) -> Store:
        """As by another process."""
        return Store(self.settings, self.engine, clock=self.clock)

    def prepare(self, *, pipeline: str = PLAN, rules: str = "GLOBAL") -> None:
        """A pipeline of one level, and every second rule of another one."""
        steps = [
            PipelineStep(
                plan_id=pipeline,
                pay_freq=FREQUENCY,
                step_order=number * 100,
                subroutine_name=f"subroutine_{number}",
                agent="VALIDATOR",
                description="What the step does, in a sentence of the usual length",
            )
            for number in range(1, 27)
        ]
        self.store.pipelines.replace(pipeline, FREQUENCY, steps)
        for n in range(8):
            level = rules if n % 2 else "GLOBAL"
            self.store.calculation_rules.put(CalculationRule(calc_type=f"type_{n}", plan_id=level, formula="a * b"))
        for n in range(20):
            level = rules if n % 2 else "GLOBAL"
            rule = ValidationRule(category=f"C{n % 6}", number=n + 1, message="m" * 60, plan_id=level)
            self.store.validation_rules.put(rule)
        self.store.irs_limits.put(IrsLimits(year=2026))
        self.clock.advance(timedelta(hours=1))

    def put(self, kind: object, pk: str, *sort_keys: str) -> None:
        """Large items of another program beside the kind's own."""
        self.engine.put_many(self.store.tables.name(kind), [wire(pk, sk, x=BIG) for sk in sort_keys])  # type: ignore[arg-type]

    def measured(self, store: Store | None = None) -> float:
        """The units of one start."""
        with self.engine.counted() as units:
            (store or self.store).batches.start(PLAN, FREQUENCY, 2026)
        return units.total


def nothing(started: Started) -> None:
    """Nothing else lies in the tables."""


def foreign_items(started: Started) -> None:
    """In each partition that is read, before, between and behind the library's own items."""
    names = ("A", "BACKUP", "CONFIG#OLD", "ACH#OLD", "LIMITS#OLD", "NOTE#1", "Z")
    for level in (PLAN, "DEFAULT"):
        identity = {"plan_id": level, "pay_freq": FREQUENCY}
        for mapper in (PIPELINE_STEP, CLIENT_CONFIG):
            started.put(mapper, mapper.keys.partition(dict(identity)), *names)
    for level in (PLAN, "GLOBAL"):
        started.put(CALCULATION_RULE, CALCULATION_RULE.keys.partition({"plan_id": level}), *names)
        for n in range(6):
            pk = VALIDATION_RULE.keys.partition({"category": f"C{n}", "plan_id": level})
            started.put(VALIDATION_RULE, pk, *names)
    started.put(IRS_LIMITS, IRS_LIMITS.keys.partition({"year": 2026}), *names)
    started.put(BATCH_STATE, PARTITION, *names)


def configurations(started: Started) -> None:
    for level in (PLAN, "DEFAULT"):
        started.store.client_configs.put(ClientConfig(plan_id=level, pay_freq=FREQUENCY, custodian="x"))
        account = AchConfig(plan_id=level, pay_freq=FREQUENCY, account_number="000123456789")
        started.store.ach_configs.put(account)


def defaults_configurations(started: Started) -> None:
    started.store.client_configs.put(ClientConfig(plan_id="DEFAULT", pay_freq=FREQUENCY, custodian="x"))


def schemas(started: Started) -> None:
    """Hundreds, one by one and many in a transaction."""
    for first in range(0, 300, 30):
        with started.store.unit_of_work() as unit:
            for n in range(first, first + 30):
                unit.vendor_schemas.put(_schema(n))
    for n in range(300, 360):
        started.store.vendor_schemas.put(_schema(n))


def _schema(n: int) -> VendorSchema:
    return VendorSchema(vendor_id=f"vendor_{n}", columns=(f"c{n}",), fingerprint=VendorSchema.fingerprint_of([f"c{n}"]))


def other_plans(started: Started) -> None:
    """Plans and batches whose names begin as this one's, in the same categories."""
    for n in range(150):
        with started.store.unit_of_work() as unit:
            unit.validation_rules.put(ValidationRule(category=f"C{n % 6}", number=1, plan_id=f"{PLAN}{n}"))
            unit.calculation_rules.put(CalculationRule(calc_type="match", plan_id=f"{PLAN}{n}", formula="a"))
    home = started.store.tables.name(BATCH_STATE)
    started.engine.put_many(home, [wire(f"BATCH#o{n}", "RESULT#0001", result="x" * 1000) for n in range(1000)])


def processes_that_write_once(started: Started) -> None:
    """Commands, of which none reads what the others left."""
    for n in range(150):
        with started.opened() as store:
            store.calculation_rules.put(
                CalculationRule(calc_type=f"type_{2 * (n % 4)}", plan_id="GLOBAL", formula=f"a * {n}"), expected=ANY
            )
        started.clock.advance(timedelta(minutes=1))
    started.clock.advance(timedelta(minutes=6))
    started.measured()  # takes out what they left


OTHERS: tuple[Callable[[Started], None], ...] = (
    nothing,
    foreign_items,
    configurations,
    defaults_configurations,
    schemas,
    other_plans,
    processes_that_write_once,
)


@pytest.fixture
def started(layout: TableLayout) -> Iterator[Started]:
    made = Started(layout)
    with made.store:
        yield made


@pytest.mark.parametrize(
    ("layout", "pipeline", "rules"),
    [
        (TableLayout.PER_TABLE, PLAN, "GLOBAL"),
        (TableLayout.SINGLE, "DEFAULT", PLAN),
        pytest.param(TableLayout.SINGLE, PLAN, "GLOBAL", marks=pytest.mark.slow),
        pytest.param(TableLayout.PER_TABLE, "DEFAULT", PLAN, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("others", OTHERS, ids=lambda others: others.__name__)
def test_a_start_reads_at_most_30_units_whatever_else_lies_in_the_tables(
    started: Started, others: Callable[[Started], None], pipeline: str, rules: str
) -> None:
    started.prepare(pipeline=pipeline, rules=rules)
    others(started)
    started.store.create_tables(upgrade=True)
    started.clock.advance(timedelta(minutes=1))
    assert started.measured() <= MOST_UNITS
    started.clock.advance(timedelta(minutes=1))
    assert started.measured() <= MOST_UNITS


@pytest.mark.parametrize("layout", TableLayout)
@pytest.mark.parametrize(("pipeline", "most"), [(PLAN, MOST_UNITS), ("DEFAULT", MOST_UNITS + 0.5)])
def test_the_first_start_of_a_process_reads_half_a_unit_more_for_the_key_of_an_accounts_digest(
    started: Started, pipeline: str, most: float
) -> None:
    started.prepare(pipeline=pipeline)
    configurations(started)
    started.store.create_tables(upgrade=True)
    started.clock.advance(timedelta(minutes=1))
    with started.opened() as another:
        assert started.measured(another) <= most


@pytest.mark.parametrize("layout", TableLayout)
def test_nor_more_on_an_engine_whose_transactions_are_seen_at_once(layout: TableLayout) -> None:
    started = Started(layout, adversarial=False)
    with started.store as store:
        started.prepare(pipeline="DEFAULT")
        store.create_tables(upgrade=True)
        assert started.measured() <= MOST_UNITS


@pytest.mark.parametrize("layout", TableLayout)
def test_nor_when_its_levels_have_just_been_changed_but_no_rule_of_its(started: Started) -> None:
    started.prepare()
    started.store.create_tables(upgrade=True)
    for n in range(40):
        started.store.vendor_schemas.put(_schema(n))
    assert started.measured() <= MOST_UNITS


@pytest.mark.parametrize("layout", TableLayout)
def test_where_more_was_changed_than_can_be_listed_a_start_waits_and_reads_twice(started: Started) -> None:
    started.prepare()
    started.store.create_tables(upgrade=True)
    for n in range(150):
        started.store.vendor_schemas.put(_schema(n))
    before = started.clock.now()
    assert started.measured() <= 2 * MOST_UNITS
    assert started.clock.now() - before <= timedelta(seconds=13)


@pytest.mark.parametrize("layout", TableLayout)
def test_a_rule_that_has_just_been_changed_is_read_again_for_two_units_and_the_revisions_twice_for_six(
    started: Started,
) -> None:
    started.prepare()
    started.store.create_tables(upgrade=True)
    for n in range(3):
        rule = CalculationRule(calc_type=f"type_{2 * n}", plan_id="GLOBAL", formula="b * a")
        started.store.calculation_rules.put(rule, expected=ANY)
    just_changed = started.measured()
    started.clock.advance(timedelta(seconds=13))
    assert started.measured() <= MOST_UNITS
    assert just_changed <= MOST_UNITS + 2 * 6 + 3 * 2


@pytest.mark.parametrize("layout", TableLayout)
def test_a_level_whose_revision_is_full_of_what_others_left_is_written_all_the_same(started: Started) -> None:
    started.prepare()
    table, key = started.store.revisions.of_level("GLOBAL")
    item = started.engine.get(table, [key], consistent=True)[key]
    item |= {f"{MOVE}_{n}": {"S": "1000 " + "x" * 85} for n in range(4000)}
    item["filler"] = {"S": "x" * (MAX_ITEM_BYTES - item_bytes(item) - len("filler"))}
    started.engine.put_many(table, [item])
    with started.opened() as other:
        rule = CalculationRule(calc_type="new", plan_id="GLOBAL", formula="a")
        assert other.calculation_rules.put(rule).formula == "a"
