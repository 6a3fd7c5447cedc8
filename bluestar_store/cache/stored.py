"""What lies under one key of Redis: a value, the lease of whoever is loading one, or a tombstone of writers.

The first byte says which. A value begins with the token of the lease that it came in by: whoever wants to replace it
names that token, and is refused when anything else has happened to the key since. A tombstone holds the tokens of the
writers that are not known to be done, each with the time until which it counts.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias
from zlib import crc32

FORMAT, SIGNED_FORMAT = b"2", b"3"
"""Of values; release 0.1.0 knows the first. Any other is no value: it is removed and loaded again."""
LEASE = b"L"
"""What the content of a key begins with while its value is loaded; the token follows."""
TOKEN_BYTES = 16
MAX_PAYLOAD_BYTES = 1024 * 1024
"""A larger value is not kept outside the process."""
MAX_LIFETIME_MS = 3_600_000
"""The longest that `cache_ttl_seconds` may say: no process of ours writes a longer one."""
EXPIRED = -2
"""What PTTL says of a key that has expired since its content was read."""
LEASE_MS = 10_000
"""How long a load may take and still be kept."""
CLOCKS_APART_MS = 60_000
"""By which the clocks of two computers may differ before values signed by one are none for the other."""


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
    """A value: what it was encoded to, how long ago it came in, and how long it still has.

    `signed`: what its signature is of, and the signature; None for a value without one.
    """

    payload: bytes
    age_ms: int
    remaining_ms: int
    signed: tuple[bytes, bytes] | None = None
    written_ms: int = 0


class Outdated(OfValue):
    """A value that is not to be believed; to be loaded, and replaced."""


class Unsigned(OfValue):
    """A value that none of our keys has signed, or that was signed too long ago; to be loaded, and replaced."""


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
    """A value to put where `claim` still stands; without a payload, only whether it does.

    It lives for `lifetime_ms` where the server has kept all it was told for as long, else for `sure_ms`.
    """

    claim: bytes
    token: bytes
    payload: bytes | None
    lifetime_ms: int
    sure_ms: int


_VALUE = re.compile(
    b"V(.{%d})(?:%b|%b([0-9a-f]{64}) ([0-9]{1,14}) )([0-9]{1,7}) ([0-9]{1,10})\n"
    % (TOKEN_BYTES, FORMAT, SIGNED_FORMAT),
    re.DOTALL,
)

Stored: TypeAlias = Held | Outdated | Unsigned | Abandoned | Leased | Busy | Blocked | Garbage


def new_token() -> bytes:
    """Names one load or one write, among all processes."""
    return os.urandom(TOKEN_BYTES // 2).hex().encode()


def leases() -> Iterator[bytes]:
    """One lease after another, each with a token of its own, without asking the system each time; safe for threads.

    Six characters of a token are random, ten count. Not to be shared with a forked child.
    """
    prefix = LEASE + base64.urlsafe_b64encode(os.urandom(6))[:6]
    return map((prefix + b"%010x").__mod__, count())


def lease(token: bytes) -> bytes:
    """The content of a key while its value is loaded."""
    return LEASE + token


def value(token: bytes, lifetime_ms: int, payload: bytes) -> bytes:
    """The content of a key that has a value, with a checksum: what is read is what was put there."""
    return b"V%b%b%d %d\n%b" % (token, FORMAT, lifetime_ms, crc32(payload), payload)


def signed_value(
    token: bytes, lifetime_ms: int, payload: bytes, sign: Callable[[bytes], bytes], written_ms: int
) -> bytes:
    """The same with a signature of the payload, its lifetime, and the time (ms since 1970) when it was written."""
    signature = sign(_to_sign(written_ms, lifetime_ms, payload))
    head = signature, written_ms, lifetime_ms, crc32(payload)
    return b"V%b%b%b %d %d %d\n%b" % (token, SIGNED_FORMAT, *head, payload)


def _to_sign(written_ms: int, lifetime_ms: int, payload: bytes) -> bytes:
    return b"%d %d\n%b" % (written_ms, lifetime_ms, payload)


def read(content: object, remaining_ms: object, own: bytes) -> Stored:
    """What a key held when we tried to put our own lease there; `remaining_ms` is Redis's PTTL."""
    if content is None or content == own:
        return Leased(own[1:])
    if not isinstance(content, bytes) or not isinstance(remaining_ms, int):
        return Garbage()
    if remaining_ms == EXPIRED:
        return Blocked()
    if (found := _VALUE.match(content)) is not None:
        token, signature, written, lifetime, checksum = found.groups()
        payload, lifetime_ms = content[found.end() :], int(lifetime)
        if crc32(payload) != int(checksum) or not 0 <= remaining_ms <= lifetime_ms <= MAX_LIFETIME_MS:
            return Garbage()
        held = Held(token, payload, lifetime_ms - remaining_ms, remaining_ms)
        if signature is not None:
            held.written_ms = int(written)
            held.signed = _to_sign(held.written_ms, lifetime_ms, payload), signature
        return held
    kind, token = content[:1], content[1 : 1 + TOKEN_BYTES]
    if kind == b"T":
        return Blocked()
    if kind == b"L" and len(content) == 1 + TOKEN_BYTES and 0 <= remaining_ms <= LEASE_MS:
        return Busy(token, remaining_ms)
    return Garbage()
