"""Names in Redis: one environment's keys and its channel, never those of another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from bluestar_store.protocols import CacheKey

MAX_UNITS = 10_000
"""Of one message: many times what a process of ours sends."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Message:
    """What processes tell each other: these units changed, or everything that `fields` match (of a kind, or any).

    `writer` names the write that changes the units: `bars_seconds` says that they are barred for so long, until a
    message of the same writer says no more of that. `unwritten`: Redis took the message and not the tombstone.
    `told_twice`: the same is said under the names of today. Release 0.1.0 says none of these, and passes over them.
    """

    origin: str
    units: tuple[CacheKey, ...] = ()
    writer: bytes | None = None
    bars_seconds: float | None = None
    unwritten: bool = False
    kind: str | None = None
    fields: Mapping[str, Any] | None = None
    probe: str | None = None
    told_twice: bool = False


class _Content(BaseModel, strict=True):
    """A message as it comes; whatever else is in it is passed over."""

    o: Annotated[str, Field(max_length=100)]
    u: Annotated[
        list[Annotated[list[str | int | None], Field(min_length=1, max_length=10)]], Field(max_length=MAX_UNITS)
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
    """The keys of one environment. `name` tells it from all others that may share the server."""

    name: str
    channel: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", f"bluestar:{self.name}:changes".encode())

    def own_channel(self, origin: str) -> bytes:
        """The channel on which a process hears itself alone."""
        return b"%b:%b" % (self.channel, origin.encode())

    def slot_key(self, unit: CacheKey) -> bytes:
        """The part of a unit's key that no restart changes; what a cluster places it by stands in braces."""
        return _slot_key(self.name, unit)

    def key(self, unit: CacheKey, run_id: bytes) -> bytes:
        """The key of a unit in one run of a server."""
        return b"%b%b" % (_slot_key(self.name, unit), run_id)

    def pattern(self, run_id: bytes) -> bytes:
        """What SCAN finds all keys of a run by; braces mean nothing to it, and names have no special character."""
        return f"bluestar:{{{self.name}|*}}:".encode() + run_id

    def unit(self, key: bytes) -> CacheKey | None:
        """The unit of a key; None for what is none of ours."""
        head = f"bluestar:{{{self.name}|".encode()
        text, end, _ = key.removeprefix(head).rpartition(b"}:")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return tuple(found) if key.startswith(head) and end and isinstance(found, list) else None

    def changed(
        self,
        origin: str,
        units: Iterable[CacheKey],
        writer: bytes | None = None,
        bars_seconds: float | None = None,
        *,
        unwritten: bool = False,
        told_twice: bool = False,
    ) -> bytes:
        """The message that units changed: see Message."""
        content: dict[str, Any] = {"o": origin, "u": list(dict.fromkeys(units))}
        if writer is not None:
            content["w"] = writer.decode()
        if bars_seconds is not None:
            content["b"] = int(bars_seconds * 1000)
        if unwritten:
            content["d"] = 1
        if told_twice:
            content["n"] = 1
        return _ENCODER.encode(content).encode()

    def matching(self, origin: str, kind: str | None, fields: Mapping[str, Any], *, told_twice: bool = False) -> bytes:
        """The message that everything changed that the fields match."""
        content: dict[str, Any] = {"o": origin, "k": kind, "f": dict(fields)}
        return _ENCODER.encode(content | {"n": 1} if told_twice else content).encode()

    def probe(self, origin: str, nonce: str) -> bytes:
        """The message by which a channel tests itself."""
        return _ENCODER.encode({"o": origin, "p": nonce}).encode()


def read_message(data: bytes) -> Message | None:
    """A message; None for what is none, for example of another version, or larger than any of ours."""
    try:
        content = _Content.model_validate_json(data)
    except ValidationError:
        return None
    message = Message(
        content.o,
        tuple(map(tuple, content.u)),
        writer=None if content.w is None else content.w.encode(),
        bars_seconds=None if content.b is None else content.b / 1000,
        unwritten=bool(content.d),
        told_twice=bool(content.n),
        kind=content.k,
        fields=content.f,
        probe=content.p,
    )
    return message if message.units or message.probe or message.fields is not None else None


@lru_cache(maxsize=8192)
def _slot_key(name: str, unit: CacheKey) -> bytes:
    return f"bluestar:{{{name}|{_ENCODER.encode(unit)}}}:".encode()
