"""Connections to one Redis server, each of which knows which run of the server it talks to.

Keys carry the server's `run_id`, so a server that was restarted from an old snapshot, or a replica that was promoted
without the last writes, is never asked for what it should have forgotten. The commands of a call are therefore built
when its connection is known, and redis-py's own silent reconnects are not used.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command: TypeAlias = tuple[Any, ...]
MAX_IDLE = 64
"""Connections kept open while nobody uses them."""


class LinkError(Exception):
    """Redis did not do what it was asked. Its message names the kind of failure, and nothing of what was sent.

    `cause` is what redis-py raised; its own text may repeat what was sent.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause or self


class Connection(Protocol):
    """What we use of a redis-py connection."""

    bluestar_run_id: bytes

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


class Link:
    """One server. Safe for threads; a forked child calls `reset` and opens connections of its own."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool  # knows how to make a connection, and is used for nothing else
        self.reset()

    def reset(self) -> None:
        """Forget the connections without touching them: in a forked child they are the parent's."""
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def connect(self) -> Connection:
        """A new connection, greeted; the caller's own. Raises LinkError."""
        connection: Any = None
        try:
            # Not make_connection(), which counts: the pool would give up after its hundredth.
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
            connection.connect()
        except BaseException as error:
            if connection is not None:
                connection.disconnect()
            raise_link_error(error)
        return connection  # type: ignore[no-any-return]  # a class that the options chose

    def call(self, commands: Callable[[bytes], Sequence[Command]]) -> list[Any]:
        """The replies to some commands, sent together; the builder is given the server's run_id.

        Raises LinkError.
        """

        def packed(connection: Connection) -> tuple[Any, int]:
            built = commands(connection.bluestar_run_id)
            return connection.pack_commands(built), len(built)

        return self._call(packed)

    def call_packed(self, request: Callable[[bytes], tuple[list[bytes], int]]) -> list[Any]:
        """The same for a request that is packed already, with the number of its commands. Raises LinkError."""
        return self._call(lambda connection: request(connection.bluestar_run_id))

    def _call(self, packed: Callable[[Connection], tuple[Any, int]]) -> list[Any]:
        """Send, and take the replies.

        Raises LinkError when the connection or one of the commands fails, but for a key of the wrong type. A
        connection that had lain idle and turns out to be dead is replaced once.
        """
        try:
            connection, fresh = self._idle.pop(), False
        except IndexError:
            connection, fresh = self.connect(), True
        while True:
            try:
                replies = _exchange(connection, *packed(connection))
            except RedisConnectionError as error:
                connection.disconnect()
                if fresh:
                    raise failure(error) from None
                self.drop_idle()
                connection, fresh = self.connect(), True
            except BaseException as error:  # also of an interruption: the rest of the reply would be the next one's
                connection.disconnect()
                raise_link_error(error)
            else:
                self._keep(connection)
                for reply in replies:
                    if isinstance(reply, ResponseError) and not is_wrong_type(reply):
                        raise failure(reply)
                return replies

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.disconnect()

    def drop_idle(self) -> None:
        """Close the connections that nobody uses: the server behind them may not be the one to ask any more."""
        with self._lock:
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.disconnect()

    def close(self) -> None:
        """Close the connections; those in use close when they are done."""
        with self._lock:
            self._closed = True
        self.drop_idle()


def _exchange(connection: Connection, packed: Any, count: int) -> list[Any]:
    """All replies in order; one that is an error is among them, so that the next one is not taken for it."""
    connection.send_packed_command(packed, check_health=False)
    replies: list[Any] = []
    for _ in range(count):
        try:
            replies.append(connection.read_response())
        except ResponseError as error:
            replies.append(error)
    return replies


def is_wrong_type(reply: object) -> bool:
    """Whether a reply says that a key holds no text: somebody else put something there. It is given as the reply."""
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")


def raise_link_error(error: BaseException) -> NoReturn:
    """A LinkError for whatever redis-py raised; an interruption as it is.

    For any Exception: not all that comes out of redis-py is a RedisError (a cluster's errors, a parser's), and none of
    it may fail a read.
    """
    if isinstance(error, Exception):
        raise failure(error) from None
    raise error


def failure(error: BaseException) -> LinkError:
    """One LinkError for whatever redis-py raises. Of a server's own text only the first word is told: its code."""
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return LinkError("no answer in time", error)
    if isinstance(error, ResponseError):
        code = str(error).split(" ", 1)[0]
        return LinkError(f"refused: {code if code.isupper() else type(error).__name__}", error)
    return LinkError(f"connection failed ({type(error).__name__})", error)
