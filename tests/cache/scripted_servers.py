"""Servers that record the commands they are sent, and answer as a test says: no Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from bluestar_store.cache.limits import Counters
from bluestar_store.cache.redis.client import RedisClient
from bluestar_store.cache.redis.connection import Command, RedisCallError, check
from bluestar_store.cache.redis.messages import Message, Namespace, Signer, read_message
from bluestar_store.cache.redis.publisher import InvalidationPublisher
from bluestar_store.cache.redis.stored import BLOCK, FILL, FORGET, RELEASE, WITNESS
from tests.cache.first_tier import Clock

RUN = b"f00"
NAMES = {BLOCK: "block", RELEASE: "release", FORGET: "forget", WITNESS: "witness", FILL: "fill"}
FULL = ResponseError("OOM command not allowed when used memory > 'maxmemory'.")


class Server:
    """Stands for a ServerPool. `answers` say what a command by this name is answered; else 1."""

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.calls: list[list[str]] = []
        self.answers: dict[str, Any] = {}
        self.down = False

    def call(self, commands: Callable[[bytes], Sequence[Command]], *, errors: bool = False) -> list[Any]:
        if self.down:
            raise RedisCallError("connection failed")
        built = list(commands(RUN))
        self.sent += built
        self.calls.append([name_of(command) for command in built])
        replies = [self._reply(command) for command in built]
        if not errors:
            check(replies)
        return replies

    def _reply(self, command: Command) -> Any:
        answer = self.answers.get(name_of(command), 1)
        return answer(command) if callable(answer) else answer

    def connect(self) -> Any:
        if self.down:
            raise RedisCallError("connection failed")
        return self

    def named(self, name: str) -> list[Command]:
        return [command for command in self.sent if name_of(command) == name]

    def messages(self) -> list[tuple[bytes, Message]]:
        """What was published, by its channel."""
        found = [(channel, read_message(data)) for _, channel, data in self.named("PUBLISH")]
        return [(channel, message) for channel, message in found if message is not None]


def name_of(command: Command) -> str:
    return NAMES[command[1]] if command[0] == "EVAL" else str(command[0])


class Servers:
    """Stands for a Topology of one server, or of two: keys with an even last member are the first one's."""

    def __init__(self, count: int = 1) -> None:
        self.all = [Server() for _ in range(count)]
        self.single: Any = self.all[0] if count == 1 else None
        self.events: list[str] = []
        self.unreachable = False

    def server_for(self, key: bytes) -> Any:
        text = key.decode()
        if "nowhere" in text:
            raise RedisCallError("the slot has no master")
        digits = "".join(one for one in text if one.isdigit()) or "0"
        return self.all[int(digits) % len(self.all)]

    def server_at(self, host: str, port: int) -> Any:
        return self.all[port]

    def slots_moved(self) -> None:
        self.events.append("moved")

    def servers(self) -> Any:
        return self.all

    def refresh(self) -> None:
        self.events.append("refresh")
        if self.unreachable:
            raise RedisCallError("the cluster cannot be reached")

    def reset(self) -> None:
        self.events.append("reset")

    def close(self) -> None:
        self.events.append("close")


class Published:
    """A publisher over such servers."""

    def __init__(self, count: int = 1, *, legacy: bool = False, signer: Signer | None = None) -> None:
        self.servers, self.counters, self.clock = Servers(count), Counters(), Clock()
        self.server: Server = self.servers.all[0]
        self.client = RedisClient(self.servers, Namespace("new"), self.counters, self.clock)
        self.publisher = InvalidationPublisher(
            self.client,
            "one",
            signer or Signer([]),
            self.counters,
            self.clock,
            Namespace("old") if legacy else None,
        )

    def count(self, name: str) -> int:
        return self.counters.counts()[name]
