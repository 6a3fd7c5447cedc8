"""A plan's snapshot in layout `single`, beside the same reads with PynamoDB, query by query, nothing guessed ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pynamodb.exceptions import DoesNotExist

from benchmarks import pynamodb_models
from benchmarks.bench import Bench
from benchmarks.data import PLAN, rule, step
from benchmarks.measure import compare, repeated
from benchmarks.report import Line
from bluestar_store import DEFAULT, GLOBAL, AchConfig, ClientConfig, IrsLimits, PlanSnapshot, Store, ValidationRule
from bluestar_store.clock import SystemClock
from bluestar_store.mapping.indexes import SEPARATOR, level_prefix
from bluestar_store.models.calculation import CALCULATION_RULE

STEPS, FREQ, YEAR = 26, "BiWeeklyFri", 2026
RULES = [f"type-{number}" for number in range(8)]
CATEGORIES = ["SSN", "DATE", "COMP", "DEFERRAL", "CENSUS", "LOAN"]
VALIDATIONS = 20
QUERY_BY_QUERY = "PynamoDB, query by query"


class AnHourAgo(SystemClock):
    """The clock of who wrote what is read: readers need not reckon with what was written so long ago."""

    def now(self) -> datetime:
        """An hour ago."""
        return super().now() - timedelta(hours=1)


@dataclass(frozen=True)
class Content:
    """What a snapshot is compared by."""

    steps: list[str | None]
    custodian: str | None
    bank_id: str | None
    rules: Mapping[str, Decimal | None]
    validation: Mapping[str, list[tuple[int, str | None]]]
    max_401k: Decimal | None


def rows(bench: Bench) -> Iterator[Line]:
    """The goal is for a Store as it is by default; with `indexes_complete` it need not scan for others' items.

    Then the same, when all that is read was written a moment ago: the library reads it again, isolated.
    """
    with (
        Store.open(bench.dynamo(table_layout="single", cache_max_entries=0)) as store,
        Store.open(store.settings.model_copy(update={"indexes_complete": True})) as trusting,
        Store.open(store.settings, clock=AnHourAgo()) as writer,
    ):
        expected = _filled(writer)
        reader = PynamoReader(store)
        contenders = [
            repeated("bluestar-store", lambda: store.plan_snapshot(PLAN, FREQ, YEAR), lambda a: _told(a) == expected),
            repeated(QUERY_BY_QUERY, reader.snapshot, lambda answer: answer == expected),
            repeated(
                "bluestar-store, indexes_complete",
                lambda: trusting.plan_snapshot(PLAN, FREQ, YEAR),
                lambda answer: _told(answer) == expected,
            ),
        ]
        yield from compare("plan snapshot", contenders, {QUERY_BY_QUERY: 0.50}, rounds=bench.rounds(200), calls=1)
        _filled(store)
        yield from compare("plan snapshot, just changed", contenders[:2], {}, rounds=bench.rounds(60), calls=1)


def _filled(store: Store) -> Content:
    """The plan's pipeline and configs are its own; of the rules, every other one is, and the rest GLOBAL's."""
    store.create_tables()
    steps = store.pipelines.replace(PLAN, FREQ, [step(PLAN, FREQ, number) for number in range(1, STEPS + 1)])
    client = store.client_configs.put(ClientConfig(plan_id=PLAN, pay_freq=FREQ, custodian="Fidelity", deadline_hour=16))
    ach = store.ach_configs.put(AchConfig(plan_id=PLAN, pay_freq=FREQ, ach_method="push", bank_id="B-7"))
    limits = store.irs_limits.put(IrsLimits(year=YEAR, max_401k=Decimal(24500), catch_up=Decimal(8000)))
    rules = {}
    for number, calc_type in enumerate(RULES):
        rules[calc_type] = store.calculation_rules.put(rule((GLOBAL, PLAN)[number % 2], calc_type, number)).max_pct
    validation: dict[str, list[tuple[int, str | None]]] = {}
    for number in range(VALIDATIONS):
        made = ValidationRule(
            category=CATEGORIES[number % len(CATEGORIES)],
            plan_id=(PLAN, GLOBAL)[number % 3 > 0],
            number=number + 1,
            field="ssn",
            pattern=r"^\d{3}-\d{2}-\d{4}$",
            message=f"rule {number} does not hold",
            severity="error",
        )
        store.validation_rules.put(made)
        validation.setdefault(made.category, []).append((made.number, made.message))
    return Content(
        [one.subroutine_name for one in steps], client.custodian, ach.bank_id, rules, validation, limits.max_401k
    )


def _told(answer: Any) -> Content | None:
    if not isinstance(answer, PlanSnapshot) or answer.client_config is None or answer.ach_config is None:
        return None
    return Content(
        [one.subroutine_name for one in answer.steps],
        answer.client_config.custodian,
        answer.ach_config.bank_id,
        {calc_type: found.max_pct for calc_type, found in answer.calculation_rules.items()},
        {
            category: [(found.number, found.message) for found in rules]
            for category, rules in answer.validation_rules.items()
        },
        answer.limits.max_401k,
    )


class PynamoReader:
    """Reads with PynamoDB's Models what a snapshot holds."""

    def __init__(self, store: Store) -> None:
        table = store.tables.name(CALCULATION_RULE)
        models = (getattr(pynamodb_models, name) for name in ("Step", "Config", "Rule", "Validation", "Limits"))
        self._step, self._config, self._rule, self._validation, self._limits = (
            pynamodb_models.bound(model, store.settings, table) for model in models
        )

    def snapshot(self) -> Content:
        """All of it. DEFAULT is only asked for what the plan lacks; two queries a category, GLOBAL's and the plan's."""
        limits = self._limits.get(f"YEAR#{YEAR}", "LIMITS", consistent_read=True)
        rules: dict[str, Any] = {}
        for level in (GLOBAL, PLAN):
            rules |= {found.calc_type: found for found in self._query(self._rule, f"CLIENT#{level}", "CALC#")}
        validation = {category: self._rules_of(category) for category in self._categories()}
        return Content(
            [found.subroutineName for found in self._steps()],
            self._config_of("CONFIG").custodian,
            self._config_of("ACH").bank_id,
            {calc_type: found.max_pct for calc_type, found in rules.items()},
            validation,
            limits.max_401k,
        )

    def _steps(self) -> list[Any]:
        for level in (PLAN, DEFAULT):
            if found := self._query(self._step, f"CLIENT#{level}_{FREQ}", "STEP#"):
                return found
        return []

    def _config_of(self, sk: str) -> Any:
        try:
            return self._config.get(f"CLIENT#{PLAN}_{FREQ}", sk, consistent_read=True)
        except DoesNotExist:
            return self._config.get(f"CLIENT#{DEFAULT}_{FREQ}", sk, consistent_read=True)

    def _categories(self) -> list[str]:
        levels = map(level_prefix, (GLOBAL, PLAN))
        index = self._validation.by_level
        found = [
            one
            for level in levels
            for one in index.query("validation-rule", pynamodb_models.ByLevel.bs_level.startswith(level))
        ]
        return sorted({one.bs_level.split(SEPARATOR)[1] for one in found})

    def _rules_of(self, category: str) -> list[tuple[int, str | None]]:
        rules: dict[int, Any] = {}
        for pk in (f"CATEGORY#{category}", f"CATEGORY#{category}#CLIENT#{PLAN}"):
            rules |= {found.number: found for found in self._query(self._validation, pk, "RULE#")}
        return [(number, rules[number].message) for number in sorted(rules)]

    def _query(self, model: Any, pk: str, prefix: str) -> list[Any]:
        return list(model.query(pk, model.SK.startswith(prefix), consistent_read=True))
