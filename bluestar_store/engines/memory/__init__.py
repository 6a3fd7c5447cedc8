"""The engine in this process's memory."""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.engines.memory.engine import MemoryEngine

__getattr__, __dir__ = lazily(__name__, {"bluestar_store.engines.memory.engine": ("MemoryEngine",)})

__all__ = ["MemoryEngine"]
