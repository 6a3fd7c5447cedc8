"""What lies under one key of Redis: a value, the lease of a load, or a tombstone of writers; and how it is changed.

The first byte tells which. A value begins with the token of the lease by which it was stored. To replace a value, a
script names its token, and is refused when the key has changed since (compare-and-set). A tombstone holds the tokens of
all writers that are not known to be done, each with the time when it ends.

The Lua scripts change one key each, because a cluster runs a script only on keys of one slot. They are sent as text, so
a server that lost its script cache is no special case. With pcall, a key of another type counts as one without a value
of ours.
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
"""Format of values; release 0.1.0 knows the first. A value of any other format is removed and loaded again."""
LEASE = b"L"
"""First byte of a lease; the token follows."""
TOKEN_BYTES = 16
MAX_PAYLOAD_BYTES = 1024 * 1024
"""Larger values are not stored in Redis."""
MAX_LIFETIME_MS = 3_600_000
"""The maximum of `cache_ttl_seconds`: no process of ours writes a longer lifetime."""
EXPIRED = -2
"""PTTL's reply for a key that has expired since its content was read."""
LEASE_MS = 10_000
"""How long a load may take and still be kept."""
CLOCKS_APART_MS = 60_000
"""How far the clocks of two computers may differ before one refuses values that the other signed."""


@dataclass(slots=True)
class _WithValue:
    """A key with a value."""

    token: bytes

    @property
    def claim(self) -> bytes:
        """The beginning of the key's content as long as no other process has changed it."""
        return b"V" + self.token


@dataclass(slots=True)
class _WithLease:
    """A key with a lease."""

    token: bytes

    @property
    def claim(self) -> bytes:
        """The beginning of the key's content as long as no other process has changed it."""
        return lease(self.token)


@dataclass(slots=True)
class StoredValue(_WithValue):
    """A value: its encoded form, its age, and its remaining lifetime.

    `signed`: the signed content and the signature; None for a value without one.
    """

    payload: bytes
    age_ms: int
    remaining_ms: int
    signed: tuple[bytes, bytes] | None = None
    written_ms: int = 0


class Outdated(_WithValue):
    """A value from before an outage, or before a write without a tombstone: loaded, and replaced."""


class Unsigned(_WithValue):
    """A value without a signature by one of our keys, or signed too long ago: loaded, and replaced."""


class OwnLease(_WithLease):
    """There was nothing, and now there is our lease: we load, and may store the value."""


class AbandonedLease(_WithLease):
    """A lease from before an outage, which no process holds any more: loaded, and replaced."""


@dataclass(slots=True)
class OtherLease(_WithLease):
    """Another process is loading. Its lease ends by itself after the remaining time."""

    remaining_ms: int


@dataclass(slots=True)
class Tombstone:
    """A writer is changing the item: its value is loaded, and kept nowhere."""


@dataclass(slots=True)
class Unreadable:
    """Content that this release does not write: removed."""


@dataclass(slots=True)
class Fill:
    """A compare-and-set: a value to store if the key still begins with `claim`; without a payload, the key is removed.

    It lives for `lifetime_ms` if the server has lost nothing for as long, else for `sure_ms`.
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

Stored: TypeAlias = StoredValue | Outdated | Unsigned | AbandonedLease | OwnLease | OtherLease | Tombstone | Unreadable


def new_token() -> bytes:
    """A name for one load or one write, unique among all processes."""
    return os.urandom(TOKEN_BYTES // 2).hex().encode()


def leases() -> Iterator[bytes]:
    """Leases with a new token each, without a system call each; safe for threads, not for a forked child.

    Six characters of a token are random, ten count.
    """
    prefix = LEASE + base64.urlsafe_b64encode(os.urandom(6))[:6]
    return map((prefix + b"%010x").__mod__, count())


def lease(token: bytes) -> bytes:
    """The content of a key while its value is being loaded."""
    return LEASE + token


def value(token: bytes, lifetime_ms: int, payload: bytes) -> bytes:
    """The content of a key with a value, and a checksum of it."""
    return b"V%b%b%d %d\n%b" % (token, FORMAT, lifetime_ms, crc32(payload), payload)


def signed_value(
    token: bytes, lifetime_ms: int, payload: bytes, sign: Callable[[bytes], bytes], written_ms: int
) -> bytes:
    """The same, signed: the payload, its lifetime, and the time (ms since 1970) when it was written."""
    signature = sign(_to_sign(written_ms, lifetime_ms, payload))
    head = signature, written_ms, lifetime_ms, crc32(payload)
    return b"V%b%b%b %d %d %d\n%b" % (token, SIGNED_FORMAT, *head, payload)


def _to_sign(written_ms: int, lifetime_ms: int, payload: bytes) -> bytes:
    return b"%d %d\n%b" % (written_ms, lifetime_ms, payload)


def parse(content: object, remaining_ms: object, own: bytes) -> Stored:
    """The meaning of a key's content when we tried to put our own lease there; `remaining_ms` is the reply to PTTL."""
    if content is None or content == own:
        return OwnLease(own[1:])
    if not isinstance(content, bytes) or not isinstance(remaining_ms, int):
        return Unreadable()
    if remaining_ms == EXPIRED:
        return Tombstone()
    if (found := _VALUE.match(content)) is not None:
        token, signature, written, lifetime, checksum = found.groups()
        payload, lifetime_ms = content[found.end() :], int(lifetime)
        if crc32(payload) != int(checksum) or not 0 <= remaining_ms <= lifetime_ms <= MAX_LIFETIME_MS:
            return Unreadable()
        found_value = StoredValue(token, payload, lifetime_ms - remaining_ms, remaining_ms)
        if signature is not None:
            found_value.written_ms = int(written)
            found_value.signed = _to_sign(found_value.written_ms, lifetime_ms, payload), signature
        return found_value
    kind, token = content[:1], content[1 : 1 + TOKEN_BYTES]
    if kind == b"T":
        return Tombstone()
    if kind == b"L" and len(content) == 1 + TOKEN_BYTES and 0 <= remaining_ms <= LEASE_MS:
        return OtherLease(token, remaining_ms)
    return Unreadable()


# ------------------------------------------------------------------------------------------------------ Lua scripts

_RETAINED = """
local function info_of(section, name)
  local info = redis.pcall('INFO', section)
  return type(info) == 'string' and string.match(info, name .. ':(%x+)') or ''
end
local function retained_since(key, now)
  local mark = info_of('stats', 'evicted_keys') .. ':' .. info_of('replication', 'master_replid')
  local content = redis.pcall('GET', key)
  if type(content) == 'string' then
    local kept, from = string.match(content, '^W(%x*:%x*) (%d+)$')
    if kept == mark then return tonumber(from), mark end
  end
  return now, mark
end
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""
"""Since when the server has surely lost nothing, in ms on its own clock: since then it was not flushed, has evicted no
key, and has not taken over another server's data. The witness, a key that WITNESS writes, shows that.
"""

FILL = (
    _RETAINED
    + """
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
local lifetime = ARGV[3]
if KEYS[2] then
  local now = clock()
  if now - retained_since(KEYS[2], now) < tonumber(lifetime) then lifetime = ARGV[4] end
end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', lifetime) end
return tonumber(lifetime)
"""
)
"""Compare-and-set: replace content that begins with ARGV[1] by ARGV[2], or remove it when ARGV[2] is empty. Returns the
lifetime in ms, or 0 for a refusal. The lifetime is ARGV[3], or ARGV[4] when the witness KEYS[2] does not show that the
server has lost nothing for as long as ARGV[3].

With a new lease as ARGV[2] it takes over a lease whose holder does not answer.
"""

_TOMBSTONES = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local content = redis.pcall('GET', KEYS[1])
local kept, last = {}, 0
if type(content) == 'string' and string.sub(content, 1, 1) == 'T' then
  for token, ends in string.gmatch(content, '(%x+):(%d+);') do
    if token ~= ARGV[1] and tonumber(ends) > now then
      kept[#kept + 1] = token .. ':' .. ends .. ';'
      last = math.max(last, tonumber(ends))
    end
  end
end
"""
"""The tombstones of other writers that have not ended, and when the last of them ends, by the server's own clock."""

BLOCK = (
    _TOMBSTONES
    + """
local ends = now + tonumber(ARGV[2])
kept[#kept + 1] = ARGV[1] .. ':' .. string.format('%.0f', ends) .. ';'
redis.call('SET', KEYS[1], 'T' .. table.concat(kept), 'PX', string.format('%.0f', math.max(last, ends) - now))
return 1
"""
)
"""Add the tombstone of writer ARGV[1] for ARGV[2] ms. The tombstones of other writers stay."""

RELEASE = (
    _TOMBSTONES
    + """
if #kept == 0 then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], 'T' .. table.concat(kept), 'PX', string.format('%.0f', last - now)) end
return 1
"""
)
"""Remove the tombstone of writer ARGV[1], whose write is done, and a value or lease that lies there instead."""

FORGET = """
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == 'T' then return 0 end
return redis.call('DEL', KEYS[1])
"""
"""Remove a value or a lease, but no tombstone. Returns 1 when there was one."""

WITNESS = (
    _RETAINED
    + """
local now = clock()
local since, mark = retained_since(KEYS[1], now)
redis.call('SET', KEYS[1], 'W' .. mark .. ' ' .. string.format('%.0f', since), 'PX', ARGV[1])
return now - since
"""
)
"""Returns for how many ms the server has surely lost nothing; it is also a test whether it takes writes.

The key lives for ARGV[1] ms.
"""
