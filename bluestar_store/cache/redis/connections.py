"""A pool of connections to one Redis server, each of which knows which run of the server it is connected to.

Redis keys end with the server's `run_id`, so that after a restart from an old snapshot, or the promotion of a replica
without the last writes, no value from before is read. The commands of a call are therefore built when its connection is
known. redis-py's pool and clients cannot be used for this: they reconnect silently to what may be another run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bluestar_store.cache.redis.protocol import Command, RespConnection, packed

MAX_IDLE = 64
"""Idle connections that are kept open."""


class RedisCallError(Exception):
    """A call to Redis failed. The message names the kind of failure, and nothing of what was sent.

    `cause` is the error of redis-py; its own text may repeat what was sent.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause or self

    @property
    def is_refusal(self) -> bool:
        """Whether the server answered and refused: other commands, or messages, may still be possible."""
        return isinstance(self.cause, ResponseError)


class ServerPool:
    """The connections to one server. Safe for threads; a forked child calls `reset` and opens its own."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool  # only for the class and options of connections
        self.reset()

    def reset(self) -> None:
        """Forget the connections without closing them: in a forked child they are the parent's."""
        self._idle: deque[RespConnection] = deque()
        self._closed = False

    def connect(self) -> RespConnection:
        """A new connection, after its handshake; it belongs to the caller. Raises RedisCallError."""
        opened: Any = None
        try:
            # Not make_connection(), which counts: the pool would give up after its hundredth.
            opened = self._pool.connection_class(**self._pool.connection_kwargs)
            opened.connect()
            connection = RespConnection(opened)
            connection.handshake()
        except BaseException as error:
            if opened is not None:
                opened.disconnect()
            raise_call_error(error)
        return connection

    def call(self, commands: Callable[[bytes], Sequence[Command]], *, errors: bool = False) -> list[Any]:
        """The replies to some commands, which are sent together; `commands` is given the server's run_id.

        Raises RedisCallError. With `errors`, refusals of single commands are among the replies instead.
        """

        def request(run_id: bytes) -> tuple[bytes, int]:
            built = commands(run_id)
            return packed(built), len(built)

        return self.call_packed(request, errors=errors)

    def call_packed(self, request: Callable[[bytes], tuple[bytes, int]], *, errors: bool = False) -> list[Any]:
        """The same for a request that is packed already, with the number of its commands.

        Raises RedisCallError when the connection or a command fails, except for a key of the wrong type. An idle
        connection that turns out to be dead is replaced once.
        """
        try:
            connection, fresh = self._idle.pop(), False
        except IndexError:
            connection, fresh = self.connect(), True
        while True:
            try:
                replies = connection.exchange(*request(connection.run_id))
            except TimeoutError as error:
                connection.close()
                raise call_error(error) from None
            except (RedisConnectionError, OSError) as error:
                connection.close()
                if fresh:
                    raise call_error(error) from None
                self.drop_idle()
                connection, fresh = self.connect(), True
            except BaseException as error:  # an interruption too: the next caller would read the rest of this reply
                connection.close()
                raise_call_error(error)
            else:
                self._idle.append(connection)
                if self._closed or len(self._idle) > MAX_IDLE:
                    self.drop_idle(0 if self._closed else MAX_IDLE)
                if not errors:
                    check(replies)
                return replies

    def drop_idle(self, keep: int = 0) -> None:
        """Close idle connections, except the `keep` used last: the server may no longer be the right one."""
        for _ in range(len(self._idle) - keep):
            try:
                connection = self._idle.popleft()
            except IndexError:
                return  # another thread uses or closes it
            connection.close()

    def close(self) -> None:
        """Close the connections; those in use are closed when their call ends."""
        self._closed = True
        self.drop_idle()


def check(replies: Sequence[object]) -> None:
    """Raises RedisCallError for the first command that was refused."""
    for reply in replies:
        if isinstance(reply, ResponseError) and is_refusal(reply):
            raise call_error(reply)


def is_refusal(reply: object) -> bool:
    """Whether a reply is an error, other than for a key of the wrong type, which counts as a value that is not ours."""
    return isinstance(reply, ResponseError) and not str(reply).startswith("WRONGTYPE")


def raise_call_error(error: BaseException) -> NoReturn:
    """Raises a RedisCallError for any Exception, and an interruption as it is.

    Not all that redis-py raises is a RedisError (its cluster's and parser's errors are not), and none may fail a read.
    """
    if isinstance(error, Exception):
        raise call_error(error) from None
    raise error


def call_error(error: BaseException) -> RedisCallError:
    """The RedisCallError for what redis-py raised. Of a server's own text it shows only the first word, the code."""
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return RedisCallError("no answer in time", error)
    if isinstance(error, ResponseError):
        code = str(error).split(" ", 1)[0]
        return RedisCallError(f"refused: {code if code.isupper() else type(error).__name__}", error)
    return RedisCallError(f"connection failed ({type(error).__name__})", error)
