"""Makes an automaton of a regular expression: an edge for each way in which Python's engine reads a character."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from re import _compiler, _parser  # type: ignore[attr-defined]  # there is no public way to a pattern's parts
from typing import Any

COPIES, COPIED_STATES = 10, 64
"""How often a repeat is written out, or more often if that makes few states; one of more times is one without end."""
MOST_STATES, MOST_EDGES = 4_000, 20_000
SAMPLES = [*map(chr, range(128)), *"éÉß١中\u0130\u0131\u017f\u212a\u0085\u00a0\u2003\u2019€😀"]
"""Characters of each class (`\\w`, `\\s`, `\\d`, ...), beside those that the pattern names."""
REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
CHARACTERS = ("LITERAL", "NOT_LITERAL", "IN", "ANY")
CONDITIONS = {
    **dict.fromkeys(("AT_BEGINNING", "AT_BEGINNING_STRING"), "begin"),
    **dict.fromkeys(("AT_END", "AT_END_STRING"), "end"),
    "AT_BOUNDARY": "boundary",
    "AT_NON_BOUNDARY": "no boundary",
}

Condition = frozenset[str | int]
"""What holds where no character is taken; a number is the set of characters that do not come next."""
Edges = list[list[tuple[int, int]]]
"""Of each state: the states that come next, each with the set of characters that leads there, a bit for each."""
ALWAYS: Condition = frozenset()


class TooLargeError(Exception):
    """The automaton would have too many states or edges."""


@dataclass
class _Part:
    """A part of a pattern: where it begins and ends, and in how many ways it takes nothing."""

    first: Counter[tuple[int, Condition]] = field(default_factory=Counter)
    last: Counter[tuple[int, Condition]] = field(default_factory=Counter)
    empty: Counter[Condition] = field(default_factory=Counter)

    def __or__(self, other: _Part) -> _Part:
        return _Part(self.first + other.first, self.last + other.last, self.empty + other.empty)


def _nothing(*conditions: str | int) -> _Part:
    return _Part(empty=Counter([frozenset(conditions)]))


class Automaton:
    """One state for each place where a pattern takes a character, and an edge for each way from one to the next.

    A repeat that is bounded is written out. Lookarounds are taken to hold, and a back reference to be anything that its
    group matches. Raises what compiling the pattern raises, and TooLargeError.
    """

    def __init__(self, pattern: str) -> None:
        tree = _parser.parse(pattern)
        self.edges: Edges = []
        self._size = 0
        self._masks: list[int] = []
        self._groups: dict[int, tuple[Any, int]] = {}
        self._known: dict[tuple[str, int], int] = {}
        self._state = tree.state
        named = {*SAMPLES, *map(chr, _named(tree))}
        self._samples = "".join(sorted({*named, *(char.swapcase() for char in named if len(char.swapcase()) == 1)}))
        flags = tree.state.flags & ~re.DEBUG
        self._words = self._mask((_parser.IN, [(_parser.CATEGORY, _parser.CATEGORY_WORD)]), flags)
        self._bounded = "\\b" in pattern.lower()
        whole = self._part(tree, flags)
        self._join(_Part(last=Counter([(self._add(0), ALWAYS)])), whole)

    def _part(self, tree: Any, flags: int) -> _Part:
        part = _nothing()
        for name, value in tree.data:
            part = self._then(part, self._item(str(name), value, flags))
        return part

    def _item(self, name: str, value: Any, flags: int) -> _Part:
        if name in CHARACTERS:
            return self._character(self._mask((getattr(_parser, name), value), flags))
        if name in REPEATS:
            least, most, body = value
            return self._repeat(least, most, body, flags, possessive=name == "POSSESSIVE_REPEAT")
        if name == "SUBPATTERN":
            group, added, removed, inner = value
            flags = (flags | added) & ~removed
            if group is not None:
                self._groups[group] = inner, flags
            return self._part(inner, flags)
        if name == "BRANCH":
            return self._any([self._part(branch, flags) for branch in value[1]])
        if name == "GROUPREF":
            return self._part(*self._groups[value]) if value in self._groups else _nothing()
        if name == "GROUPREF_EXISTS":
            return self._any([self._part(branch, flags) if branch else _nothing() for branch in value[1:]])
        if name == "ATOMIC_GROUP":
            if len(value.data) == 1 and str(value.data[0][0]) == "MAX_REPEAT":
                return self._item("POSSESSIVE_REPEAT", value.data[0][1], flags)
            return self._part(value, flags)
        if name in ("ASSERT", "ASSERT_NOT"):
            self._part(value[1], flags)  # it has states of its own, from which no edge leads to others
            return _nothing()
        if (
            name == "AT"
            and (at := CONDITIONS.get(str(value)))
            and not (at in ("begin", "end") and flags & re.MULTILINE)
        ):
            return _nothing(at)
        return _Part() if name == "FAILURE" else _nothing()

    def _repeat(self, least: int, most: int, body: Any, flags: int, *, possessive: bool) -> _Part:
        states, size = len(self._masks), self._size
        part = self._part(body, flags)
        single = self._size == size and not part.empty
        copies = max(COPIES, COPIED_STATES // max(1, len(self._masks) - states))
        parts = [
            part,
            *(self._part(body, flags) for _ in range(min(max(least, 1) if most > copies else most, copies) - 1)),
        ]
        if most == 0:
            return _nothing()
        if most > copies:
            self._join(parts[-1], parts[-1])
        made = _Part()
        for number in range(len(parts), 0, -1):  # from the end: x(x(x)?)?
            made = self._then(parts[number - 1], made) if number < len(parts) else parts[-1]
            if number > least:
                made |= _nothing()
        if possessive and single and most is _parser.MAXREPEAT:  # it took all there are: what comes next is another one
            taken = 0
            for state, _ in part.first:
                taken |= self._masks[state]
            last = Counter({(state, at | {taken}): count for (state, at), count in made.last.items()})
            made = _Part(made.first, last, Counter({at | {taken}: count for at, count in made.empty.items()}))
        return made

    def _any(self, parts: list[_Part]) -> _Part:
        made = _Part()
        for part in parts:
            made |= part
        return made

    def _then(self, left: _Part, right: _Part) -> _Part:
        self._join(left, right)
        first, last, empty = Counter(left.first), Counter(right.last), Counter[Condition]()
        for (at, count), ((state, also), ways) in product(left.empty.items(), right.first.items()):
            first[state, at | also] += count * ways
        for (at, count), ((state, also), ways) in product(right.empty.items(), left.last.items()):
            last[state, at | also] += count * ways
        for (at, count), (also, ways) in product(left.empty.items(), right.empty.items()):
            empty[at | also] += count * ways
        return _Part(first, last, empty)

    def _join(self, left: _Part, right: _Part) -> None:
        self._size += len(left.last) * len(right.first)
        if self._size > MOST_EDGES:
            raise TooLargeError
        for ((one, at), count), ((other, also), ways) in product(left.last.items(), right.first.items()):
            both, mask = at | also, self._masks[other]
            for taken in both:
                mask &= ~taken if isinstance(taken, int) else -1
            if mask and not both & self._broken(self._masks[one], mask):
                self.edges[one] += [(other, mask)] * min(count * ways, 2)

    def _broken(self, before: int, after: int) -> set[str]:
        """The conditions that do not hold between two characters; there is none (0) before the first one."""
        change = bool(before & self._words) != bool(after & self._words)
        return {"end", "no boundary" if change else "boundary", *(["begin"] if before else [])}

    def _character(self, mask: int) -> _Part:
        """Two states where the pattern asks for boundaries of words: one within words, one without."""
        masks = (mask & self._words, mask & ~self._words) if self._bounded else (mask,)
        states = Counter((self._add(one), ALWAYS) for one in masks if one)
        return _Part(states, Counter(states))

    def _add(self, mask: int) -> int:
        if len(self._masks) >= MOST_STATES:
            raise TooLargeError
        self._masks.append(mask)
        self.edges.append([])
        return len(self._masks) - 1

    def _mask(self, item: Any, flags: int) -> int:
        """The samples that this item of a pattern takes: what Python's engine says."""
        key = repr(item), flags
        if key not in self._known:
            compiled = _compiler.compile(_parser.SubPattern(self._state, [item]), flags)
            self._known[key] = sum(1 << found.start() for found in compiled.finditer(self._samples))
        return self._known[key]


def _named(part: Any) -> Iterator[int]:
    """The characters that are in a pattern, and the ends of its ranges."""
    if isinstance(part, tuple) and str(part[0]) in ("LITERAL", "NOT_LITERAL", "RANGE"):
        yield from part[1] if isinstance(part[1], tuple) else part[1:]
    elif isinstance(part, tuple | list | _parser.SubPattern):
        for inner in part.data if isinstance(part, _parser.SubPattern) else part:
            yield from _named(inner)
