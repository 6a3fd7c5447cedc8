"""Moves: what one transaction wrote, as a revision lists it; see `revisions`."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property

MAX_TIME_DIGITS = 18
"""Of a time in milliseconds: what has more is none."""
PACKED, LONG_TEXT = "z", 200
"""What stands before a move's keys that are packed, and from how many characters on they are."""


@dataclass(frozen=True)
class Move:
    """A transaction: when it was sent, in seconds since 1970, and what it wrote, by table (without prefix) and key."""

    at: float
    written: str
    """What it wrote, as JSON, packed where that is long: of most moves that are read only the time matters."""

    @classmethod
    def of(cls, at: float, keys: Iterable[tuple[str, Key]]) -> Move:
        """A transaction that is sent now."""
        nested: dict[str, dict[str, list[str]]] = {}
        for table, key in keys:
            nested.setdefault(table, {}).setdefault(key.pk, []).append(key.sk)
        return cls(at, _packed(json.dumps(nested, ensure_ascii=False, separators=(",", ":"))))

    @classmethod
    def parse(cls, text: str) -> Move | None:
        """What `text` says; None for what has no time."""
        at, _, written = text.partition(" ")
        return cls(int(at) / 1000, written) if at.isdecimal() and len(at) <= MAX_TIME_DIGITS else None

    @cached_property
    def keys(self) -> tuple[tuple[str, Key], ...]:
        """What it wrote; nothing for what is no move."""
        try:
            nested = json.loads(_unpacked(self.written))
            return tuple((t, Key(pk, sk)) for t, pks in nested.items() for pk, sks in pks.items() for sk in sks)
        except (ValueError, AttributeError, TypeError, RecursionError, zlib.error):
            return ()

    @cached_property
    def text(self) -> str:
        """The attribute's value."""
        return f"{int(self.at * 1000)} {self.written}"


def _packed(text: str) -> str:
    """The text, or what takes less room in an item."""
    packed = PACKED + base64.b85encode(zlib.compress(text.encode(), 9)).decode() if len(text) > LONG_TEXT else text
    return min(text, packed, key=len)


def _unpacked(text: str) -> str | bytes:
    """What was packed, a megabyte of it at most: more is none of ours. Raises ValueError and zlib.error."""
    if not text.startswith(PACKED):
        return text
    return zlib.decompressobj().decompress(base64.b85decode(text[len(PACKED) :]), 1 << 20)
