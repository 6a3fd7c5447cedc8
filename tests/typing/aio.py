"""How asyncio agents use the library, as mypy in strict mode has to understand it. Checked, never run."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_type

from bluestar_store import (
    ANY,
    AchConfig,
    AsyncStore,
    BatchState,
    BatchStatus,
    CalculationRule,
    ClientConfig,
    IrsLimits,
    PipelineStep,
    PlanHold,
    PlanSnapshot,
    Settings,
    StepClaim,
    StepResult,
    Store,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.aio.files import AsyncFileReader, AsyncFileWriter
from bluestar_store.cache.limits import CacheStats
from bluestar_store.extending import AsyncConfigs, AsyncRepository, Configs
from bluestar_store.keys import Key
from bluestar_store.unit_of_work import AsyncUnitOfWork, unit_of_work
from tests.aio.test_own_kinds import AsyncPayCalendars
from tests.own_kinds import PAY_CALENDAR, PAYROLL_CONFIG, PayCalendar, PayCalendars, PayrollConfig


async def opened(sync: Store) -> None:
    async with AsyncStore.open(Settings(table_suffix="-dev")) as store:
        assert_type(store, AsyncStore)
        assert_type(await store.create_tables(upgrade=True), list[str])
    assert_type(AsyncStore(sync).store, Store)


async def every_question(store: AsyncStore) -> None:
    assert_type(await store.calculation_rules.get("ACME", "match", fresh=True), CalculationRule)
    assert_type((await store.calculation_rules.get("ACME", "match")).max_pct, Decimal | None)
    assert_type(await store.calculation_rules.all(plan_id="ACME"), Mapping[str, CalculationRule])
    assert_type(await store.pipelines.steps("ACME", "Weekly", fallback=False), tuple[PipelineStep, ...])
    assert_type(await store.validation_rules.for_category("SSN", plan_id="ACME"), tuple[ValidationRule, ...])
    assert_type(await store.irs_limits.get(2026), IrsLimits)
    assert_type(await store.client_configs.get("ACME", "Weekly"), ClientConfig)
    assert_type(await store.ach_configs.get("ACME", "Weekly", fallback=False), AchConfig)
    assert_type(await store.vendor_schemas.match("ADP", ["SSN", "Gross pay"]), VendorSchema)
    assert_type(await store.holds.open("ACME"), tuple[PlanHold, ...])
    assert_type((await store.batches.for_plan("ACME", limit=20, cursor=None)).batches, tuple[BatchState, ...])
    assert_type(await store.results.get("b1", 100), StepResult)
    assert_type(await store.claims.for_batch("b1"), tuple[StepClaim, ...])
    assert_type(await store.plan_snapshot("ACME", "Weekly", 2026), PlanSnapshot)
    assert_type(await store.plans(), tuple[str, ...])
    assert_type(store.cache.stats(), CacheStats)
    assert_type(await store.cache.invalidate(fields={"plan_id": "ACME"}), int)


async def writing(store: AsyncStore, batch: BatchState, rule: CalculationRule, config: ClientConfig) -> None:
    assert_type(await store.calculation_rules.put(rule, expected=ANY, actor="pat"), CalculationRule)
    assert_type(await store.client_configs.put(config), ClientConfig)
    assert_type(await store.calculation_rules.current([rule]), dict[Key, CalculationRule])
    assert_type(store.unit_of_work(), AsyncUnitOfWork[AsyncStore])
    async with store.unit_of_work() as uow:
        assert_type(uow, AsyncStore)
        assert_type(await uow.batches.advance(batch, status=BatchStatus.ON_HOLD, actor="pat"), BatchState)
        assert_type(await uow.holds.place("ACME", reason="Missing data"), PlanHold)
        await uow.audit.append(batch.batch_id, actor="VALIDATOR", action="hold")
    claim = await store.claims.claim(batch, 1, "worker", lease_seconds=30)
    assert_type(await store.results.save(batch, 1, {"rows": 3}, claim), StepResult)


async def decorated(store: AsyncStore, sync: Store) -> None:
    @unit_of_work(store)
    async def both(plan_id: str) -> int:
        return 1

    @unit_of_work(sync)
    def one(plan_id: str) -> int:
        return 1

    assert_type(await both("ACME"), int)
    assert_type(one("ACME"), int)


async def files(store: AsyncStore) -> None:
    assert_type(await store.files.read("a.csv"), bytes)
    assert_type(await store.files.write("a.csv", "x", if_absent=True), str)
    async with store.files.open("a.csv") as reader:
        assert_type(reader, AsyncFileReader)
        assert_type(await reader.read(), bytes)
    async with store.files.open("a.csv", "wb") as writer:
        assert_type(writer, AsyncFileWriter)


async def kinds_of_ones_own(store: AsyncStore) -> None:
    assert_type(store.repository(PAYROLL_CONFIG, Configs, AsyncConfigs), AsyncConfigs[PayrollConfig])
    assert_type(store.repository(PAY_CALENDAR, PayCalendars, AsyncPayCalendars), AsyncPayCalendars)
    assert_type(store.repository(PAY_CALENDAR), AsyncRepository[PayCalendar])


async def mistakes_that_the_type_checker_finds(store: AsyncStore) -> None:
    # Each ignore below must be needed: mypy reports one that is not.
    store.calculation_rules.get("ACME", "match").formula  # type: ignore[attr-defined]  # noqa: B018 it is not awaited
    await store.calculation_rules.get("ACME", typ="match")  # type: ignore[call-arg]  # there is no such parameter
    await store.calculation_rules.put(IrsLimits(year=2026))  # type: ignore[arg-type]  # another repository's entity
    await store.irs_limits.get("2026")  # type: ignore[arg-type]  # a year is a number
    with store.unit_of_work():  # type: ignore[attr-defined]  # a commit is awaited
        pass

    @unit_of_work(store)  # type: ignore[type-var]  # no coroutine function
    def plain() -> None: ...
