"""Users' own kinds of items and functions on the async side."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from bluestar_store import AsyncStore, Settings, Store, seeding
from bluestar_store.extending import AsyncCalls, AsyncConfigs, AsyncRepository, Configs
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.protocols import Put
from tests.aio.stores import count_threads_used
from tests.cache.stores import rule
from tests.own_kinds import (
    KINDS,
    PAY_CALENDAR,
    PAYROLL_CONFIG,
    PayCalendar,
    PayCalendarNotFoundError,
    PayCalendars,
    PayrollConfig,
)
from tests.store_suite.side_door import wire


class AsyncPayCalendars(AsyncRepository[PayCalendar]):
    def __init__(self, calls: AsyncCalls, calendars: PayCalendars) -> None:
        super().__init__(calls, calendars)
        self.get = calls.cached(calendars.get)


def test_an_own_repository_takes_a_line_for_each_method(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory"), kinds=KINDS) as store:
            await store.create_tables()
            calendars = store.repository(PAY_CALENDAR, PayCalendars, AsyncPayCalendars)
            with pytest.raises(PayCalendarNotFoundError):
                await calendars.get("ACME", 2026)
            stored = await calendars.put(PayCalendar(plan_id="ACME", year=2026, pay_days=("2026-01-09",)))
            assert await calendars.get("ACME", 2026) == stored
            used = count_threads_used(store, monkeypatch)
            assert await calendars.get("ACME", 2026) == stored
            assert used == []
            plain = store.repository(PAY_CALENDAR)
            assert type(plain) is AsyncRepository
            assert list((await plain.current([stored])).values()) == [stored]
            assert plain.mapper.name == PAY_CALENDAR.name

    asyncio.run(run())


def test_an_extended_configuration_is_typed_as_such() -> None:
    async def run() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory"), kinds=KINDS) as store:
            await store.create_tables()
            configs: AsyncConfigs[PayrollConfig] = store.repository(PAYROLL_CONFIG, Configs, AsyncConfigs)
            await configs.put(PayrollConfig(plan_id="ACME", pay_freq="Weekly", forfeiture_pct=Decimal(2)))
            assert (await configs.get("ACME", "Weekly")).forfeiture_pct == 2

    asyncio.run(run())


def test_any_function_of_the_library_can_be_awaited_and_is_part_of_the_unit() -> None:
    async def run() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            await store.create_tables()
            await store.calls.awaited(seeding.load)(store.store, seeding.baseline())
            assert await store.categories()

    asyncio.run(run())


def write_blindly(store: Store) -> None:
    """Without a look at what is there."""
    with store.sessions.unit() as unit:
        unit.engine.write(Put(store.tables.name(PLAN_HOLD), wire("PLAN#BETA", "HOLD#h1")))


def test_what_is_no_read_is_made_once_and_in_a_thread_whatever_it_is_taken_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            await store.create_tables()
            used = count_threads_used(store, monkeypatch)
            await store.calls.cached(store.store.holds.place)("ACME", "r")
            assert len(used) == 1
            await store.calls.cached(store.store.calculation_rules.put)(rule("ACME", 4))
            assert len(used) == 2
            await store.calls.cached(write_blindly)(store.store)
            assert len(used) == 3
            assert len(await store.holds.open("ACME")) == 1
            assert (await store.calculation_rules.get("ACME", "match")).version == 1

    asyncio.run(run())
