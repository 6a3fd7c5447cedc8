"""Conformance suites: a class of pytest tests for each seam, for whoever writes an implementation of their own.

The engine's: subclass `EngineSuite`, give its fixtures `specs`, `engine` and `door`, and declare what the target lacks.
The Store's: subclass `StoreSuite`, and give its fixtures `store` and `door`.
"""

from bluestar_store.testing.engine_case import EngineCase, SideDoor
from bluestar_store.testing.engine_suite import EngineSuite
from bluestar_store.testing.store_suite import StoreSuite

__all__ = ["EngineCase", "EngineSuite", "SideDoor", "StoreSuite"]
