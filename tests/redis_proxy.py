"""A TCP proxy before a Redis server: it counts commands and round trips, and can be told at any time to misbehave.

Every order holds from the moment that the call comes back, for open connections too, and replaces the order before it.
It reads the bytes as they pass, so it cannot stand before TLS.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Self
from urllib.parse import urlsplit

from bluestar_store.testing.redis_wire import Request, RequestDecoder, command_name
from tests import servers
from tests.redis_servers import fixed_port
from tests.servers import HOST

GARBAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
SUBSCRIBING = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}
CHUNK = 65_536
CONTROL_SECONDS = 10.0
#: redis-py hands a pipeline above 6000 bytes to the kernel piece by piece, and Redis answers the first piece at once.
LARGE_BURST = 5000
#: How long a client must have been silent before the answer to a large burst is let through.
QUIET_SECONDS = 0.02


class Fault(Enum):
    NONE, REFUSE, HANG, GARBAGE, DROP, MUTE = (auto() for _ in range(6))


@dataclass
class Order:
    """How to behave."""

    fault: Fault = Fault.NONE
    delay_seconds: float = 0.0
    dropped: frozenset[str] = frozenset()
    times: float = math.inf

    def drops(self, commands: list[str]) -> bool:
        """Whether the answer to this burst is one to drop."""
        return bool(self.dropped & set(commands) if self.dropped else commands)


class ProxiedConnection:
    """What one client has sent over one connection since `forget`, and how often it waited for an answer."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.round_trips = 0
        self.subscribes = False
        self.is_open = True
        self.task: asyncio.Task[None] | None = None
        self.unanswered: list[str] = []  # commands of the burst that waits for its first answer
        self.burst_bytes = 0
        self.last_sent = 0.0


class RedisProxy:
    """A context manager. `url` is the upstream's with the proxy's address; counts are complete when a reply is there.

    A round trip is one burst of commands (a pipeline, a transaction) and the answer to it. Warm the client up and call
    `forget` before counting: the greeting of a new connection comes in as many bursts as chance will have it.
    """

    def __init__(self, upstream_url: str) -> None:
        upstream = urlsplit(upstream_url)
        if upstream.scheme != "redis":
            raise ValueError(f"only redis:// can be proxied, not {upstream.scheme}://")
        self._upstream = upstream.hostname or HOST, upstream.port or 6379
        self.port = fixed_port()
        credentials = upstream.netloc.rpartition("@")[0]
        address = f"{credentials}@{HOST}:{self.port}" if credentials else f"{HOST}:{self.port}"
        self.url = upstream._replace(netloc=address).geturl()
        self._order, self._changed = Order(), asyncio.Event()
        self._requests: list[Request] = []
        self._connections: list[ProxiedConnection] = []
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="redis-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.pass_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONTROL_SECONDS)
        self._loop.close()

    # ------------------------------------------------------------------------------------------------------- counting

    @property
    def commands(self) -> list[str]:
        """The names of the commands of all connections as they came in, answered or not: "GET", "CLIENT SETINFO"."""
        return [command_name(request) for request in self.requests]

    @property
    def requests(self) -> list[Request]:
        """The same with their arguments."""
        return list(self._requests)

    @property
    def round_trips(self) -> int:
        """How many bursts of commands have been answered."""
        return sum(connection.round_trips for connection in self.connections)

    @property
    def connections(self) -> list[ProxiedConnection]:
        """Every connection since `forget`, and the open ones from before."""
        return list(self._connections)

    def forget(self) -> None:
        """Count from nought."""
        self._tell(self._forget())

    def wait_for(self, command: str, seconds: float = CONTROL_SECONDS) -> None:
        """Until a command of this name has come in since `forget`."""
        servers.wait_until(lambda: command in self.commands, f"{command} came to the proxy", seconds)

    # --------------------------------------------------------------------------------------------------------- orders

    def pass_on(self) -> None:
        """Behave. What was held back by `hang` or `mute_pubsub` is delivered now, if the other side is still there."""
        self._tell(self._obey(Order()))

    def refuse(self) -> None:
        """Be gone: connections are closed, and new ones refused, as when no process listens."""
        self._tell(self._obey(Order(Fault.REFUSE)))

    def hang(self) -> None:
        """Accept and read everything, pass nothing on and answer nothing."""
        self._tell(self._obey(Order(Fault.HANG)))

    def delay(self, ms: float) -> None:
        """Let every round trip, and every message to a subscriber, take so much longer."""
        self._tell(self._obey(Order(delay_seconds=ms / 1000)))

    def garbage(self) -> None:
        """Let the server carry out every command, and answer with what is not Redis's protocol."""
        self._tell(self._obey(Order(Fault.GARBAGE)))

    def drop_replies(self, *commands: str, times: float = math.inf) -> None:
        """Let the server carry out the burst with one of these commands (any), then cut instead of answering.

        After so many `times` behave again. Without names the greeting of a new connection is dropped too.
        """
        dropped = frozenset(command.upper() for command in commands)
        self._tell(self._obey(Order(Fault.DROP, dropped=dropped, times=times)))

    def mute_pubsub(self) -> None:
        """Connections that subscribe, now or later, get nothing any more, not even the answer to a PING."""
        self._tell(self._obey(Order(Fault.MUTE)))

    def cut(self, *, pubsub_only: bool = False) -> None:
        """Close all connections now, or those that subscribed; clients may connect again. The order stays."""
        self._tell(self._cut(pubsub_only))

    # ------------------------------------------------------------------------------- inside the loop, on its own thread

    def _tell(self, order: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(order, self._loop).result(CONTROL_SECONDS)

    async def _forget(self) -> None:
        self._requests.clear()
        self._connections = [connection for connection in self._connections if connection.is_open]
        for connection in self._connections:
            connection.commands, connection.round_trips = [], 0

    async def _obey(self, order: Order) -> None:
        self._order = order
        self._changed.set()
        self._changed = asyncio.Event()
        if order.fault is Fault.REFUSE:
            if self._server is not None:
                self._server.close()
                self._server = None
            await self._cut(pubsub_only=False)
        elif self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _cut(self, pubsub_only: bool) -> None:
        chosen = [c for c in self._connections if c.is_open and (c.subscribes or not pubsub_only)]
        tasks = [connection.task for connection in chosen if connection.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _held_back(self, held: Callable[[], bool]) -> None:
        while held():
            await self._changed.wait()

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        connection = ProxiedConnection()
        connection.task = self._loop.create_task(self._serve(connection, client, to_client))
        self._connections.append(connection)

    async def _serve(
        self, connection: ProxiedConnection, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            if self._order.fault is not Fault.REFUSE:
                server, to_server = await asyncio.open_connection(*self._upstream)
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pass_requests(connection, client, to_server))
                    pumps.create_task(self._pass_replies(connection, server, to_client))
        except* OSError:
            pass  # one side has gone: the other is told by closing it
        finally:
            connection.is_open = False
            if to_server is not None:
                to_server.close()  # the server still gets what the client sent last
            to_client.transport.abort()
            with suppress(OSError):
                await to_client.wait_closed()

    async def _pass_requests(
        self, connection: ProxiedConnection, client: asyncio.StreamReader, to_server: asyncio.StreamWriter
    ) -> None:
        decoder = RequestDecoder()
        while data := await client.read(CHUNK):
            for request in decoder.feed(data):
                name = command_name(request)
                connection.subscribes |= name in SUBSCRIBING
                connection.commands.append(name)
                connection.unanswered.append(name)
                self._requests.append(request)
            connection.burst_bytes += len(data)
            connection.last_sent = self._loop.time()
            await self._held_back(lambda: self._order.fault is Fault.HANG)
            to_server.write(data)
            await to_server.drain()
        raise ConnectionResetError("the client has gone")

    async def _pass_replies(
        self, connection: ProxiedConnection, server: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        def held_back() -> bool:
            muted = self._order.fault is Fault.MUTE and connection.subscribes
            return muted or self._order.fault is Fault.HANG

        while data := await server.read(CHUNK):
            while connection.burst_bytes > LARGE_BURST and self._loop.time() < connection.last_sent + QUIET_SECONDS:
                await asyncio.sleep(QUIET_SECONDS / 4)
            if self._order.delay_seconds and (connection.unanswered or connection.subscribes):
                await asyncio.sleep(self._order.delay_seconds)
            await self._held_back(held_back)
            if self._order.fault is Fault.DROP and self._order.drops(connection.unanswered):
                self._order.times -= 1
                if not self._order.times:
                    self._order = Order()
                raise ConnectionResetError("the reply is dropped")
            if connection.unanswered:
                connection.round_trips += 1
                connection.unanswered, connection.burst_bytes = [], 0
            to_client.write(GARBAGE if self._order.fault is Fault.GARBAGE else data)
            await to_client.drain()
        raise ConnectionResetError("the server has gone")
