"""Names that a module gives without loading where they come from before one is used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(module: str, names: Mapping[str, tuple[str, ...]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A module's `__getattr__` and `__dir__`: besides its own it gives `names`, those of other modules by module.

    Type checkers are shown the same by imports under TYPE_CHECKING.
    """
    homes = {name: home for home, given in names.items() for name in given}

    def imported(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return imported, listed
