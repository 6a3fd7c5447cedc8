"""Regular expressions that may take for ever: Python's engine tries every way in which a text can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _compiler, _parser  # type: ignore[attr-defined]  # there is no public way to a pattern's parts
from typing import Any

MANY = 10
"""Repetitions from which on the ways to read a text are too many."""
LONGEST, MOST_PARTS = 4, 60
"""Of the runs that are tried, and of what they are tried with: so the trial itself ends soon."""
CHARACTERS = [chr(number) for number in range(32, 127)]
OTHERS = ("AT", "ASSERT", "ASSERT_NOT", "GROUPREF", "GROUPREF_EXISTS", "ATOMIC_GROUP", "POSSESSIVE_REPEAT")
"""With which nothing can be said of a part alone."""


def may_hang(pattern: str) -> bool:
    """Whether something in it is repeated that can itself be longer or shorter, as in `(a+)+` and `(a|aa)*`.

    A run of one character is then one repetition, or two, or three: for one that fails in the end all are tried, twice
    as many with each character more. Raises what compiling it raises. Not found is what takes two characters to show.
    """
    tree = _parser.parse(pattern)
    return any(_is_ambiguous(body, tree.state.flags) for body in _repeated(tree))


def _repeated(part: Any) -> Iterator[Any]:
    """What is repeated often in a part of a pattern, from the inside: the outer ones would take long if these did."""
    if isinstance(part, _parser.SubPattern):
        for name, value in part.data:
            yield from _repeated(value)
            if str(name) in ("MAX_REPEAT", "MIN_REPEAT") and value[1] > MANY:
                yield value[2]
    elif isinstance(part, tuple | list):
        for inner in part:
            yield from _repeated(inner)


def _is_ambiguous(body: Any, flags: int) -> bool:
    """Whether it matches runs of one character of more than one length."""
    if _parts(body) > MOST_PARTS or any(name in OTHERS for name in _names(body)):
        return False
    try:
        compiled = _compiler.compile(body, flags & ~re.DEBUG)
    except (re.error, RuntimeError, OverflowError):
        return False
    return any(
        sum(compiled.fullmatch(char * length) is not None for length in range(1, LONGEST + 1)) > 1
        for char in CHARACTERS
    )


def _parts(part: Any) -> int:
    """How many parts there are, each as often as it may be repeated for a run."""
    if isinstance(part, _parser.SubPattern):
        often = ("MAX_REPEAT", "MIN_REPEAT")
        return sum(
            _parts(value[2]) * min(int(value[1]), LONGEST + 1) if str(name) in often else max(_parts(value), 1)
            for name, value in part.data
        )
    return sum(map(_parts, part)) if isinstance(part, tuple | list) else 0


def _names(part: Any) -> Iterator[str]:
    if isinstance(part, _parser.SubPattern):
        for name, value in part.data:
            yield str(name)
            yield from _names(value)
    elif isinstance(part, tuple | list):
        for inner in part:
            yield from _names(inner)
