"""Key templates: how identifiers become partition and sort keys, and come back out of them.

Keys are injective: two different identities never build the same key, because no identifier may contain `#`, pay
frequencies have no `_`, and the reserved levels cannot be taken by a plan. Hypothesis holds that in tests/test_keys.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from bluestar_store.errors import InvalidKeyError
from bluestar_store.lazy import cached_property

__all__ = ["DEFAULT", "GLOBAL", "ItemKeys", "Key", "KeyTemplate", "check_identifier", "check_plan", "shown"]

GLOBAL = "GLOBAL"
"""The `plan_id` of the rules that every plan falls back to."""
DEFAULT = "DEFAULT"
"""The `plan_id` of the pipelines and configs that every plan falls back to."""

MAX_PK_BYTES = 2048
"""AWS limit on the length of a partition key value."""
MAX_SK_BYTES = 1024
"""AWS limit on the length of a sort key value."""

HALVES_KEPT = 1024
"""Partition keys and sort keys of each entity that need not be parsed and checked again."""


_FORM = re.compile(f"|plain|raw|{GLOBAL}|{DEFAULT}|0[1-9][0-9]*d")


class Key(NamedTuple):
    """A primary key as it lies on disk."""

    pk: str
    sk: str

    def __str__(self) -> str:
        return f"PK={self.pk} SK={self.sk}"


def shown(value: object) -> str:
    """The value as an error message may show it: quoted, and cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def check_identifier(name: str, value: object) -> str:
    """The value itself if it can be part of a key; InvalidKeyError if keys with it would be ambiguous or refused."""
    if not isinstance(value, str):
        raise InvalidKeyError(f"{name} must be text, not {type(value).__name__}")
    if not value:
        raise InvalidKeyError(f"{name} is empty")
    if "#" in value:
        raise InvalidKeyError(f"{name} {shown(value)} contains '#', which separates the parts of a key")
    if (char := _of_category(value, "Cc", "Cs")) is not None:
        raise InvalidKeyError(f"{name} {shown(value)} contains a control character: {_named(char)}")
    if len(value.encode()) > MAX_PK_BYTES:
        raise InvalidKeyError(f"{name} {shown(value)} is over {MAX_PK_BYTES} bytes, an AWS limit on keys")
    return value


def check_new_identifier(name: str, value: str) -> None:
    """InvalidKeyError for characters that nobody sees, or that turn others around: two identifiers would look alike.

    For what is not stored yet. Items that other programs, or earlier releases, wrote under such keys can be read and
    changed.
    """
    if (reason := unseen(value)) is not None:
        raise InvalidKeyError(f"{name} {shown(value)} {reason}")


def unseen(value: str) -> str | None:
    """What to say of a text in which something cannot be seen, or turns the direction of what can; None for others.

    Controls, Unicode's format class and its separators of lines and paragraphs, and what is drawn as nothing although
    it is a letter, a mark or a symbol. Spaces are seen.
    """
    if value.isascii() and value.isprintable():
        return None
    char = _of_category(value, "Cc", "Cs", "Cf", "Zl", "Zp") or next(iter(re.findall(_BLANK, value)), None)
    return None if char is None else f"contains a character that cannot be seen: {_named(char)}"


_BLANK = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
"""What Unicode draws as nothing (Default_Ignorable_Code_Point: fillers, joiners, variation selectors) and the blank
Braille pattern."""


def _of_category(value: str, *categories: str) -> str | None:
    """The first character of these categories of Unicode."""
    if value.isprintable():
        return None
    return next((char for char in value if unicodedata.category(char) in categories), None)


def _named(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


def check_plan(value: object, *, level: str | None = None) -> str:
    """A plan's identifier. GLOBAL and DEFAULT are refused, except the one that is this entity's own `level`."""
    plan_id = check_identifier("plan_id", value)
    if plan_id in (GLOBAL, DEFAULT) and plan_id != level:
        use = f"; here the level that every plan falls back to is {level}" if level else ""
        raise InvalidKeyError(f"plan_id {plan_id} is reserved and not a plan{use}")
    return plan_id


def _text(name: str, value: object) -> str:
    return check_plan(value) if name == "plan_id" else check_identifier(name, value)


def _without_underscore(name: str, value: object) -> str:
    text = check_identifier(name, value)
    if "_" in text:
        raise InvalidKeyError(f"{name} {shown(value)} contains '_', which separates it from the plan in a key")
    return text


def _number(name: str, value: object, width: int) -> str:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidKeyError(f"{name} must be a whole number from 0, not {shown(value)}")
    return f"{value:0{width}d}"


def _raw(name: str, value: object) -> str:
    """A partition key that lies inside another one, as it is: nothing follows it, so it needs no limits of its own."""
    if not isinstance(value, str) or not value:
        raise InvalidKeyError(f"{name} must be a partition key, not {shown(value)}")
    if any(unicodedata.category(char) == "Cs" for char in value):
        raise InvalidKeyError(f"{name} {shown(value)} is not valid Unicode")
    return value


@dataclass(frozen=True)
class KeyTemplate:
    """One key value, such as `CLIENT#{plan_id}_{pay_freq:plain}` or `STEP#{step_order:04d}`.

    A field is an identifier; `:plain` says without `_`, `:04d` a number padded to four digits, `:raw` a whole key,
    `:GLOBAL` and `:DEFAULT` a plan or that reserved level.
    """

    text: str
    _parts: tuple[tuple[str, str, str], ...] = field(init=False, repr=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = tuple(re.findall(r"([^{]*)(?:\{(\w+)(?::(\w+))?\})?", self.text))[:-1]
        object.__setattr__(self, "_parts", parts)
        patterns = {"plain": "[^#_]+", "raw": ".+"}
        pattern = "".join(
            re.escape(literal)
            + (f"(?P<{name}>{'[0-9]+' if form.endswith('d') else patterns.get(form, '[^#]+')})" if name else "")
            for literal, name, form in parts
        )
        object.__setattr__(self, "_pattern", re.compile(pattern, re.DOTALL))

    @cached_property
    def prefix(self) -> str:
        """The text before the first field: what a query for all such keys begins with."""
        return self._parts[0][0]

    @property
    def ambiguity(self) -> str | None:
        """Why two identities could make one key, or a query find other items; None for a sound template."""
        if not self.prefix:
            return "must begin with text"
        understood = "".join(
            literal + (f"{{{name}{':' if form else ''}{form}}}" if name else "") for literal, name, form in self._parts
        )
        if understood != self.text or not all(_FORM.fullmatch(form) for _, _, form in self._parts):
            return "a field is {name}, {name:plain}, {name:04d}, {name:GLOBAL}, {name:DEFAULT} or {name:raw}"
        for (_, name, form), (after, _, next_form) in pairwise(self._parts):
            apart = form != "raw" and (after.startswith("#") or (after.startswith("_") and next_form == "plain"))
            if not apart:
                return f"{{{name}}} must be followed by '#', or by '_' and a field that is :plain"
        return None

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(name for _, name, _ in self._parts if name)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The names of the fields that are numbers."""
        return frozenset(name for _, name, form in self._parts if form.endswith("d"))

    @cached_property
    def width(self) -> int:
        """How many digits its numbers have at least; 0 for a template without."""
        return max((int(form[:-1]) for _, _, form in self._parts if form.endswith("d")), default=0)

    def build(self, values: Mapping[str, Any], width: int | None = None) -> str:
        """The key. InvalidKeyError for a value that could not be parsed back.

        With a `width`, numbers are padded to so many digits at most.
        """
        built = []
        for literal, name, form in self._parts:
            built.append(literal)
            if not name:
                continue
            value = values.get(name)
            if form.endswith("d"):
                padded = int(form[:-1])
                built.append(_number(name, value, padded if width is None else min(padded, width)))
            elif form == "plain":
                built.append(_without_underscore(name, value))
            elif form == "raw":
                built.append(_raw(name, value))
            elif form in (GLOBAL, DEFAULT):
                built.append(check_plan(value, level=form))
            else:
                built.append(_text(name, value))
        return "".join(built)

    def parse(self, text: str) -> dict[str, Any] | None:
        """The fields of the key, numbers as int whatever their width; None when it is not a key of this template."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        numbers = self.numbers
        return {name: int(value) if name in numbers else value for name, value in match.groupdict().items()}


@dataclass(frozen=True)
class ItemKeys:
    """The primary key of one entity.

    Some entities have two forms of partition key. Each form then fixes the fields that it does not contain: a rule
    with `plan_id` GLOBAL lies in `CATEGORY#{category}`, any other one in `CATEGORY#{category}#CLIENT#{plan_id}`.
    """

    forms: tuple[tuple[KeyTemplate, Mapping[str, Any]], ...]
    sort: KeyTemplate

    @classmethod
    def of(cls, partition: str, sort: str) -> ItemKeys:
        """Keys with one form of partition key."""
        return cls(((KeyTemplate(partition), {}),), KeyTemplate(sort))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields that make the identity, partition first, each once."""
        names = (name for template, fixed in self.forms for name in (*template.fields, *fixed))
        return tuple(dict.fromkeys((*names, *self.sort.fields)))

    @cached_property
    def level(self) -> str | None:
        """The level that every plan falls back to, GLOBAL or DEFAULT; None where there is none."""
        fixed = [values.get("plan_id") for _, values in self.forms]
        forms = [part[2] for template in (self.sort, *(one for one, _ in self.forms)) for part in template._parts]  # noqa: SLF001  # of the same file
        return next((level for level in (*fixed, *forms) if level in (GLOBAL, DEFAULT)), None)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The identity's fields that are numbers."""
        return self.sort.numbers.union(*(template.numbers for template, _ in self.forms))

    def partition(self, values: Mapping[str, Any]) -> str:
        """The partition key of an identity; more fields than it needs are ignored."""
        for template, fixed in self.forms:
            if all(values.get(name) == value for name, value in fixed.items()):
                pk = template.build(values)
                if len(pk.encode()) > MAX_PK_BYTES:
                    raise InvalidKeyError(f"partition key {shown(pk)} is over {MAX_PK_BYTES} bytes, an AWS limit")
                return pk
        given = ", ".join(f"{name}={shown(values.get(name))}" for name in self.fields)
        raise InvalidKeyError(f"no partition key for {given}")

    def partition_identity(self, pk: str) -> dict[str, Any] | None:
        """The fields in a partition key, and those that its form fixes; None when it is not this entity's."""
        for template, fixed in self.forms:
            if (found := template.parse(pk)) is not None:
                return {**fixed, **found}
        return None

    def build(self, values: Mapping[str, Any]) -> Key:
        """The key of an identity; InvalidKeyError when it would be wrong, ambiguous or too long."""
        sk = self._sort_key(values)
        return Key(self.partition(values), sk)

    def spellings(self, values: Mapping[str, Any]) -> tuple[Key, ...]:
        """The key that `build` gives, and those of programs that pad the number in the sort key less."""
        key = self.build(values)
        narrower = (Key(key.pk, self.sort.build(values, width)) for width in range(1, self.sort.width))
        return tuple(dict.fromkeys((key, *narrower)))

    def _sort_key(self, values: Mapping[str, Any]) -> str:
        sk = self.sort.build(values)
        if len(sk.encode()) > MAX_SK_BYTES:
            raise InvalidKeyError(f"sort key {shown(sk)} is over {MAX_SK_BYTES} bytes, an AWS limit")
        return sk

    def parse(self, key: Key) -> dict[str, Any] | None:
        """The identity in a key, None when the key is not this entity's.

        A number may have another width than ours (`STEP#100`); apart from that, a key that `build` would not make
        (a plan called GLOBAL, say) belongs to no identity.
        """
        identity, rest = self._kept_partition(key.pk), self._kept_sort(key.sk)
        if identity is None or rest is None or any(identity[name] != rest[name] for name in self._shared):
            return None
        return {**identity, **rest}

    @cached_property
    def _shared(self) -> frozenset[str]:
        names = {name for template, fixed in self.forms for name in (*template.fields, *fixed)}
        return frozenset(self.sort.fields).intersection(names)

    # Each half is worth remembering apart from the other: a plan's partition, and the steps that every plan has.

    @cached_property
    def _kept_partition(self) -> Callable[[str], dict[str, Any] | None]:
        return lru_cache(HALVES_KEPT)(self._parsed_partition)

    @cached_property
    def _kept_sort(self) -> Callable[[str], dict[str, Any] | None]:
        return lru_cache(HALVES_KEPT)(self._parsed_sort)

    def _parsed_partition(self, pk: str) -> dict[str, Any] | None:
        for template, fixed in self.forms:
            found = template.parse(pk)
            if found is None:
                continue
            identity = {**fixed, **found}
            try:
                built = self.partition(identity)
            except InvalidKeyError:
                return None
            return identity if template.parse(built) == found else None
        return None

    def _parsed_sort(self, sk: str) -> dict[str, Any] | None:
        found = self.sort.parse(sk)
        try:
            return found if found is not None and self.sort.parse(self._sort_key(found)) == found else None
        except InvalidKeyError:
            return None
