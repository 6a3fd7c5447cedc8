"""Old public names: each works for one release with a DeprecationWarning."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` (PEP 562) for old names: each gives what `package.module:NAME` is now."""

    def found(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, now = names[name].partition(":")
        warnings.warn(f"{module}.{name} is {home}.{now} now", DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), now)

    return found
