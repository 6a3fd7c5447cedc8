"""For tests: fakes and faults for agents' own, and conformance suites for implementations of one's own.

What agents use needs no pytest: FakeRepository, FaultEngine, FaultCache, FrozenClock, AssertReads,
ReadUnitEngine. The fixtures of `bluestar_store.pytest_plugin` are made of them; see docs/testing.md.

A suite is a class of pytest tests for a seam. The engine's: subclass `EngineSuite`, give its fixtures `specs`,
`engine` and `door`, and declare what the target lacks.

A name is imported when it is first used, so that who needs no pytest does not have to have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.testing.engine_case import EngineCase, SideDoor
    from bluestar_store.testing.engine_suite import EngineSuite
    from bluestar_store.testing.fake_repository import FakeRepository
    from bluestar_store.testing.fault_cache import CACHE_CALLS, FaultCache
    from bluestar_store.testing.fault_engine import ENGINE_CALLS, READS, WRITES, FaultEngine
    from bluestar_store.testing.faults import Call, Faults, Hold, Signal
    from bluestar_store.testing.files_suite import FilesSuite
    from bluestar_store.testing.frozen_clock import FrozenClock
    from bluestar_store.testing.read_units import ReadUnitEngine, ReadUnits
    from bluestar_store.testing.redis_server import RedisForTests
    from bluestar_store.testing.round_trips import AssertReads
    from bluestar_store.testing.stores import SeedRules

__all__ = [
    "CACHE_CALLS",
    "ENGINE_CALLS",
    "READS",
    "WRITES",
    "AssertReads",
    "Call",
    "EngineCase",
    "EngineSuite",
    "FakeRepository",
    "FaultCache",
    "FaultEngine",
    "Faults",
    "FilesSuite",
    "FrozenClock",
    "Hold",
    "ReadUnitEngine",
    "ReadUnits",
    "RedisForTests",
    "SeedRules",
    "SideDoor",
    "Signal",
]

_MODULES = {
    "bluestar_store.testing.engine_case": ("EngineCase", "SideDoor"),
    "bluestar_store.testing.engine_suite": ("EngineSuite",),
    "bluestar_store.testing.fake_repository": ("FakeRepository",),
    "bluestar_store.testing.fault_cache": ("CACHE_CALLS", "FaultCache"),
    "bluestar_store.testing.fault_engine": ("ENGINE_CALLS", "READS", "WRITES", "FaultEngine"),
    "bluestar_store.testing.faults": ("Call", "Faults", "Hold", "Signal"),
    "bluestar_store.testing.files_suite": ("FilesSuite",),
    "bluestar_store.testing.frozen_clock": ("FrozenClock",),
    "bluestar_store.testing.read_units": ("ReadUnitEngine", "ReadUnits"),
    "bluestar_store.testing.redis_server": ("RedisForTests",),
    "bluestar_store.testing.round_trips": ("AssertReads",),
    "bluestar_store.testing.stores": ("SeedRules",),
}
__getattr__, __dir__ = lazily(__name__, _MODULES, __all__)
