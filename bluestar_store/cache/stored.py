"""What lies under one key of Redis: a value, the lease of whoever is loading one, or a tombstone of writers.

The first byte says which. A value begins with the token of the lease that it came in by: whoever wants to replace it
names that token, and is refused when anything else has happened to the key since. A tombstone holds the tokens of the
writers that are not known to be done, each with the time until which it counts.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias

FORMAT = b"1"
"""Of values. Another one is no value for this version: it is removed and loaded again."""
TOKEN_BYTES = 16
MAX_PAYLOAD_BYTES = 1024 * 1024
"""A larger value is not kept outside the process."""


@dataclass(slots=True)
class OfValue:
    """A key with a value."""

    token: bytes

    @property
    def claim(self) -> bytes:
        """What the key begins with as long as nobody else has touched it."""
        return b"V" + self.token


@dataclass(slots=True)
class OfLease:
    """A key with a lease."""

    token: bytes

    @property
    def claim(self) -> bytes:
        """What the key begins with as long as nobody else has touched it."""
        return lease(self.token)


@dataclass(slots=True)
class Held(OfValue):
    """A value: what it was encoded to, how long it was to live when it came in, and how long it still has."""

    payload: bytes
    lifetime_ms: int
    remaining_ms: int

    @property
    def age_ms(self) -> int:
        """How long ago it came in."""
        return max(self.lifetime_ms - self.remaining_ms, 0)


class Outdated(OfValue):
    """A value that is not to be believed; to be loaded, and replaced."""


class Leased(OfLease):
    """Nothing was there, and now our lease is: we load, and may fill."""


class Abandoned(OfLease):
    """A lease that nobody holds any more; to be loaded, and replaced."""


@dataclass(slots=True)
class Busy(OfLease):
    """Somebody else's lease: they are loading. It ends by itself after the remaining time."""

    remaining_ms: int


@dataclass(slots=True)
class Blocked:
    """A writer's tombstone: load, and keep it nowhere."""


@dataclass(slots=True)
class Garbage:
    """Nothing that this version put there: to be removed."""


@dataclass(slots=True)
class Fill:
    """A value to put where `claim` still stands; without a payload, only whether it does."""

    claim: bytes
    token: bytes
    payload: bytes | None
    lifetime_ms: int


_VALUE = re.compile(b"V(.{%d})%b([0-9]{1,20})\n" % (TOKEN_BYTES, FORMAT), re.DOTALL)

Stored: TypeAlias = Held | Outdated | Abandoned | Leased | Busy | Blocked | Garbage


def new_token() -> bytes:
    """Names one load or one write, among all processes."""
    return os.urandom(TOKEN_BYTES // 2).hex().encode()


def lease(token: bytes) -> bytes:
    """The content of a key while its value is loaded."""
    return b"L" + token


def value(token: bytes, lifetime_ms: int, payload: bytes) -> bytes:
    """The content of a key that has a value."""
    return b"V%b%b%d\n%b" % (token, FORMAT, lifetime_ms, payload)


def read(content: object, remaining_ms: object, own: bytes) -> Stored:
    """What a key held when we tried to put our lease there; `remaining_ms` is Redis's PTTL."""
    if content is None:
        return Leased(own)
    if not isinstance(content, bytes) or not isinstance(remaining_ms, int):
        return Garbage()
    if (found := _VALUE.match(content)) is not None:
        return Held(found[1], content[found.end() :], int(found[2]), remaining_ms)
    kind, token = content[:1], content[1 : 1 + TOKEN_BYTES]
    if kind == b"T":
        return Blocked()
    if kind == b"L" and len(token) == TOKEN_BYTES:
        return Leased(own) if token == own else Busy(token, remaining_ms)
    return Garbage()
