"""Every implementation as its Protocol, as mypy in strict mode has to accept it. Checked, never run.

Those of the drop-in: see persistence.py.
"""

from __future__ import annotations

from typing import assert_type

from bluestar_store import CalculationRule
from bluestar_store.cache import NullCache
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.clock import Clock, SystemClock
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.extending import Repository
from bluestar_store.files import FileStore
from bluestar_store.files.local import LocalFileStore
from bluestar_store.files.memory import MemoryFileStore
from bluestar_store.files.s3 import S3FileStore
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.persistence import ICacheBackend
from bluestar_store.protocols import Cache, ConsistentCache, Engine
from bluestar_store.testing import FakeRepository, FaultCache, FaultEngine, FrozenClock
from tests.cache.test_own_caches import OwnCache
from tests.own_kinds import PAY_CALENDAR, PayCalendar, PayCalendars


def engines(
    memory: MemoryEngine, file: FileEngine, dynamo: DynamoEngine, faulty: FaultEngine
) -> tuple[Engine, Engine, Engine, Engine]:
    return memory, file, dynamo, faulty


def caches(tiered: TieredCache, null: NullCache) -> tuple[ConsistentCache, ConsistentCache]:
    return tiered, null


def own_caches(own: OwnCache) -> Cache:
    return own


def cache_backends(faulty: FaultCache) -> ICacheBackend:
    return faulty


def file_stores(
    memory: MemoryFileStore, local: LocalFileStore, s3: S3FileStore
) -> tuple[FileStore, FileStore, FileStore]:
    return memory, local, s3


def clocks(system: SystemClock, frozen: FrozenClock) -> tuple[Clock, Clock]:
    return system, frozen


class FakeCalendars(PayCalendars, FakeRepository[PayCalendar]):
    """A team's repository over memory."""


def fakes() -> tuple[Repository[CalculationRule], PayCalendars]:
    rules = FakeRepository(CALCULATION_RULE)
    assert_type(rules, FakeRepository[CalculationRule])
    assert_type(rules.get("ACME", "match"), CalculationRule)
    assert_type(rules.all(), tuple[CalculationRule, ...])
    rules.put(PayCalendar(plan_id="ACME", year=2026))  # type: ignore[arg-type]  # another repository's entity
    calendars = FakeCalendars(PAY_CALENDAR)
    assert_type(calendars.get("ACME", 2026), PayCalendar)
    return rules, calendars
