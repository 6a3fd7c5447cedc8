"""One connection to a Redis server: requests out, replies in, by the system's calls and hiredis alone.

redis-py makes the connection (TLS, Unix sockets, Sentinel, logging in). What comes after is all that a hit waits for,
and redis-py's way through it takes twice as long as the exchange itself (measured), for what is not used here: health
checks, retries, pushed messages, its own reconnecting, which would hide that the server may be another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import hiredis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Command: TypeAlias = tuple[Any, ...]
READ_BYTES = 65536


class Connection(Protocol):
    """What we use of a redis-py connection. `_sock` has no public name, in any version of redis-py."""

    bluestar_run_id: bytes
    _sock: Any

    def connect(self) -> None: ...
    def on_connect(self) -> None: ...
    def pack_commands(self, commands: Sequence[Command]) -> Any: ...
    def send_packed_command(self, command: Any, check_health: bool = True) -> None: ...
    def read_response(self) -> Any: ...
    def can_read(self, timeout: float = 0) -> bool: ...
    def disconnect(self) -> None: ...


def greet(connection: Connection) -> None:
    """What a connection does first: log in, and ask which run of the server this is."""
    connection.on_connect()
    connection.send_packed_command(connection.pack_commands([("INFO", "server")]), check_health=False)
    info = connection.read_response()
    lines = info.splitlines() if isinstance(info, bytes) else []
    run_id = next((line.partition(b":")[2] for line in lines if line.startswith(b"run_id:")), b"")
    if not run_id:
        raise ResponseError("INFO tells no run_id")
    connection.bluestar_run_id = run_id


def packed(commands: Sequence[Command]) -> bytes:
    """Commands in Redis's protocol, to be sent together."""
    return b"".join(map(hiredis.pack_command, commands))


class Wire:
    """A greeted connection, from now on this object's alone. One exchange at a time."""

    __slots__ = ("_connection", "_reader", "_socket", "run_id")

    def __init__(self, connection: Connection) -> None:
        self._connection, self.run_id = connection, connection.bluestar_run_id
        self._socket = connection._sock
        self._reader = hiredis.Reader(replyError=DefaultParser.parse_error)

    def exchange(self, request: bytes, count: int) -> list[Any]:
        """So many replies in order; one that is an error is among them, so that the next is not taken for it.

        Raises OSError (TimeoutError when there is no answer in time), or redis-py's ConnectionError when the server is
        not there or not ready. Then, and whenever this is interrupted, the wire is of no use any more: the rest of a
        reply would be taken for the next one's.
        """
        replies: list[Any] = []
        gets, receive, feed = self._reader.gets, self._socket.recv, self._reader.feed
        self._socket.sendall(request)
        while True:
            feed(receive(READ_BYTES) or _closed())
            while (reply := gets()) is not False:
                if isinstance(reply, RedisConnectionError):
                    raise reply
                replies.append(reply)
            if len(replies) >= count:
                return replies

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()


def _closed() -> bytes:
    raise RedisConnectionError("closed by the server")
