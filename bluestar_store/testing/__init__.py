"""For tests: fakes and faults for agents' own, and conformance suites for implementations of one's own.

What agents use needs no pytest: FakeRepository, FaultEngine, FaultCache, FrozenClock, AssertReads,
ReadUnitEngine. The fixtures of `bluestar_store.pytest_plugin` are made of them; see docs/testing.md.

A suite is a class of pytest tests for a seam. The engine's: subclass `EngineSuite`, give its fixtures `specs`,
`engine` and `door`, and declare what the target lacks.

A name is imported when it is first used, so that who needs no pytest does not have to have it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
    "engine_case": ("EngineCase", "SideDoor"),
    "engine_suite": ("EngineSuite",),
    "fake_repository": ("FakeRepository",),
    "fault_cache": ("CACHE_CALLS", "FaultCache"),
    "fault_engine": ("ENGINE_CALLS", "READS", "WRITES", "FaultEngine"),
    "faults": ("Call", "Faults", "Hold", "Signal"),
    "files_suite": ("FilesSuite",),
    "frozen_clock": ("FrozenClock",),
    "read_units": ("ReadUnitEngine", "ReadUnits"),
    "redis_server": ("RedisForTests",),
    "round_trips": ("AssertReads",),
    "stores": ("SeedRules",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
