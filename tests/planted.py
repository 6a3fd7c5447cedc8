"""Stores with account numbers in their items."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress

ACCOUNT, SSN = "998877665541", "987-65-4329"


def leaks(error: BaseException) -> list[str]:
    """Where a planted value shows: in locals of frames that are not the tests', or in what an error itself keeps."""
    found, pending, known = [], [error], set[int]()
    while pending:
        one = pending.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        for frame, line in traceback.walk_tb(one.__traceback__):
            module = frame.f_globals.get("__name__", "")
            if not module.startswith("tests."):
                said = {name: repr(value) for name, value in frame.f_locals.items()}
                found += [f"{module}:{line} {name}" for name, text in said.items() if ACCOUNT in text or SSN in text]
        with suppress(TypeError, AttributeError, pickle.PicklingError):
            dump = pickle.dumps(one)
            found += ["pickle"] if ACCOUNT.encode() in dump or SSN.encode() in dump else []
        kept = repr((one.args, vars(one), getattr(one, "__notes__", ()), str(one)))
        found += [f"{type(one).__name__}: {kept}"] if ACCOUNT in kept or SSN in kept else []
        pending += [other for other in (one.__cause__, one.__context__) if other is not None]
        pending += one.exceptions if isinstance(one, BaseExceptionGroup) else []
    return found


def raised_by(call: Callable[..., object], given: object) -> BaseException | None:
    try:
        call(given)
    except BaseException as error:
        return error
    return None
