"""What processes tell each other: keys and channels of an environment, the messages on them, and those that wait."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from bluestar_store.protocols import CacheKey

MAX_KEYS_A_MESSAGE = 10_000
"""Far more than a process of ours sends in one message."""
MAX_PENDING = 100_000
"""Notices that wait for Redis: about 40 MB."""
SIGNATURE_CHARACTERS = 64
_HEAD, _TAIL = b',"s":"', b'"}'
_SIGNED_BYTES = len(_HEAD) + SIGNATURE_CHARACTERS + len(_TAIL)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Message:
    """An invalidation: of cache keys, or of everything that `fields` match (of a kind, or of any); or a heartbeat.

    `writer` names a write of the cache keys. With `tombstone_seconds` the write is under way, for so long at most;
    without, it is over. `unwritten`: the tombstone could not be stored in Redis. `sent_twice`: the message also went
    out under today's names. `probe`: the number of a heartbeat. Release 0.1.0 ignores all of these but `probe`.
    """

    origin: str
    cache_keys: tuple[CacheKey, ...] = ()
    writer: bytes | None = None
    tombstone_seconds: float | None = None
    unwritten: bool = False
    kind: str | None = None
    fields: Mapping[str, Any] | None = None
    probe: str | None = None
    sent_twice: bool = False


class _Content(BaseModel, strict=True):
    """A message on the wire. Other members are ignored: later releases may add some."""

    o: Annotated[str, Field(max_length=100)]
    u: Annotated[
        list[Annotated[list[str | int | None], Field(min_length=1, max_length=10)]],
        Field(max_length=MAX_KEYS_A_MESSAGE),
    ] = []
    w: Annotated[str, Field(max_length=100)] | None = None
    b: Annotated[int, Field(ge=0, le=10**12)] | None = None
    d: int = 0
    n: int = 0
    k: str | None = None
    f: dict[str, str | int | Decimal | None] | None = None
    p: str | None = None


@dataclass(frozen=True)
class Namespace:
    """The keys and channels of one environment. `name` tells it from all others that may share the server."""

    name: str
    channel: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", f"bluestar:{self.name}:changes".encode())

    def own_channel(self, origin: str) -> bytes:
        """The channel of one process's heartbeats."""
        return b"%b:%b" % (self.channel, origin.encode())

    def slot_key(self, cache_key: CacheKey) -> bytes:
        """The Redis key without the server's run_id. The part in braces decides the slot of a cluster."""
        return _slot_key(self.name, cache_key)

    def redis_key(self, cache_key: CacheKey, run_id: bytes) -> bytes:
        """The Redis key of a cache key in one run of a server."""
        return b"%b%b" % (_slot_key(self.name, cache_key), run_id)

    def pattern(self, run_id: bytes) -> bytes:
        """The SCAN pattern of all keys of a run; names have no character that is special there, nor have braces."""
        return f"bluestar:{{{self.name}|*}}:".encode() + run_id

    def cache_key(self, redis_key: bytes) -> CacheKey | None:
        """The cache key of a Redis key; None for a key that is not of this namespace."""
        head = f"bluestar:{{{self.name}|".encode()
        text, end, _ = redis_key.removeprefix(head).rpartition(b"}:")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return tuple(found) if redis_key.startswith(head) and end and isinstance(found, list) else None

    def changed(
        self,
        origin: str,
        cache_keys: Iterable[CacheKey],
        writer: bytes | None = None,
        tombstone_seconds: float | None = None,
        *,
        unwritten: bool = False,
        sent_twice: bool = False,
    ) -> bytes:
        """The message that cache keys changed: see Message."""
        content: dict[str, Any] = {"o": origin, "u": list(dict.fromkeys(cache_keys))}
        if writer is not None:
            content["w"] = writer.decode()
        if tombstone_seconds is not None:
            content["b"] = int(tombstone_seconds * 1000)
        if unwritten:
            content["d"] = 1
        if sent_twice:
            content["n"] = 1
        return _ENCODER.encode(content).encode()

    def matching(self, origin: str, kind: str | None, fields: Mapping[str, Any], *, sent_twice: bool = False) -> bytes:
        """The message that everything changed that the fields match."""
        content: dict[str, Any] = {"o": origin, "k": kind, "f": dict(fields)}
        return _ENCODER.encode(content | {"n": 1} if sent_twice else content).encode()

    def heartbeat(self, origin: str, nonce: str) -> bytes:
        """The message by which a process tests its channel."""
        return _ENCODER.encode({"o": origin, "p": nonce}).encode()


def read_message(data: bytes) -> Message | None:
    """A message; None for anything else, such as one of another format or size than ours."""
    try:
        content = _Content.model_validate_json(data)
    except ValidationError:
        return None
    message = Message(
        content.o,
        tuple(map(tuple, content.u)),
        writer=None if content.w is None else content.w.encode(),
        tombstone_seconds=None if content.b is None else content.b / 1000,
        unwritten=bool(content.d),
        sent_twice=bool(content.n),
        kind=content.k,
        fields=content.f,
        probe=content.p,
    )
    return message if message.cache_keys or message.probe or message.fields is not None else None


@dataclass(frozen=True, slots=True)
class Notice:
    """`writer` changes a cache key: until a time on the cache's clock at most, or (None) it is done."""

    cache_key: CacheKey
    writer: bytes
    until: float | None


class PendingNotices:
    """Notices that could not be announced: the last one of each writer for each cache key. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notices: dict[tuple[CacheKey, bytes], Notice] = {}
        self.overflowed = False

    def __bool__(self) -> bool:
        return bool(self._notices) or self.overflowed

    def __len__(self) -> int:
        return len(self._notices)

    def add(self, notices: Iterable[Notice]) -> None:
        """Keep notices; each replaces an earlier one of the same writer.

        When there are too many, those of finished writes are dropped, and everything has to be invalidated instead.
        """
        with self._lock:
            self._notices.update({(notice.cache_key, notice.writer): notice for notice in notices})
            if len(self._notices) > MAX_PENDING:
                # Writes that may still be committed need tombstones.
                self._notices = {at: notice for at, notice in self._notices.items() if notice.until is not None}
                self.overflowed = True

    def put_back(self, notices: Iterable[Notice], overflowed: bool) -> None:
        """Keep notices that were taken, unless there is a later one by now."""
        with self._lock:
            self.overflowed |= overflowed
            self._notices = {(notice.cache_key, notice.writer): notice for notice in notices} | self._notices

    def all(self) -> Sequence[Notice]:
        """The notices, which stay."""
        with self._lock:
            return list(self._notices.values())

    def take(self) -> tuple[Sequence[Notice], bool]:
        """Remove and return the notices, and whether some were dropped."""
        with self._lock:
            notices, self._notices = self._notices, {}
            overflowed, self.overflowed = self.overflowed, False
            return list(notices.values()), overflowed


class Signer:
    """HMAC-SHA256 by the keys of BLUESTAR_CACHE_KEY, which only the processes of an environment have.

    Signs with the first key and accepts all, so that keys can be rotated. `context` is what the content belongs to: a
    signature is valid in one context only. Python's hmac does the work; a token library (itsdangerous, jwt) would add
    an envelope that release 0.1.0 cannot read.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def sign(self, context: bytes, content: bytes) -> bytes:
        """The signature, in hex."""
        return _signature(self._keys[0], context, content)

    def is_signed(self, context: bytes, content: bytes, signature: bytes) -> bool:
        """Whether the signature is by one of the keys."""
        return any(hmac.compare_digest(_signature(key, context, content), signature) for key in self._keys)

    def signed_message(self, channel: bytes, message: bytes) -> bytes:
        """A JSON object with its signature added, as a member that release 0.1.0 ignores; unchanged without a key."""
        if not self._keys:
            return message
        return message[:-1] + _HEAD + self.sign(channel, message) + _TAIL

    def opened_message(self, channel: bytes, message: bytes) -> tuple[bytes, bool]:
        """The message without its signature, and whether that is by one of the keys; without a key, True for all."""
        if not self._keys:
            return message, True
        head, tail = message[:-_SIGNED_BYTES], message[-_SIGNED_BYTES:]
        if not (tail.startswith(_HEAD) and tail.endswith(_TAIL)):
            return message, False
        content = head + b"}"
        return content, self.is_signed(channel, content, tail[len(_HEAD) : -len(_TAIL)])


def _signature(key: bytes, context: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"%d %b\n%b" % (len(context), context, content), "sha256").hex().encode()


@lru_cache(maxsize=8192)
def _slot_key(name: str, cache_key: CacheKey) -> bytes:
    return f"bluestar:{{{name}|{_ENCODER.encode(cache_key)}}}:".encode()
