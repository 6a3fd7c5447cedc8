"""The cache between repositories and the engine. For now there is one implementation: none."""

from bluestar_store.cache.null import NullCache

__all__ = ["NullCache"]
