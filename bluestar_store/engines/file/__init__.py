"""The engine in a folder of readable JSON, with a journal."""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.engines.file.engine import FileEngine

__getattr__, __dir__ = lazily(__name__, {"bluestar_store.engines.file.engine": ("FileEngine",)})

__all__ = ["FileEngine"]
