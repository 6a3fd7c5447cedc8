"""Connections to one Redis server, each of which knows which run of the server it talks to.

Keys carry the server's `run_id`, so a server that was restarted from an old snapshot, or a replica that was promoted
without the last writes, is never asked for what it should have forgotten. The commands of a call are therefore built
when its connection is known, and redis-py's own silent reconnects are not used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bluestar_store.cache.wire import Command, Wire, packed

MAX_IDLE = 64
"""Connections kept open while nobody uses them."""


class LinkError(Exception):
    """Redis did not do what it was asked. Its message names the kind of failure, and nothing of what was sent.

    `cause` is what redis-py raised; its own text may repeat what was sent.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause or self

    @property
    def is_refusal(self) -> bool:
        """Whether a server answered and would not: others, or messages, may be welcome all the same."""
        return isinstance(self.cause, ResponseError)


class Link:
    """One server. Safe for threads; a forked child calls `reset` and opens connections of its own."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool  # knows how to make a connection, and is used for nothing else
        self.reset()

    def reset(self) -> None:
        """Forget the connections without touching them: in a forked child they are the parent's."""
        self._idle: deque[Wire] = deque()
        self._closed = False

    def connect(self) -> Wire:
        """A new connection, greeted; the caller's own. Raises LinkError."""
        connection: Any = None
        try:
            # Not make_connection(), which counts: the pool would give up after its hundredth.
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
            connection.connect()
            wire = Wire(connection)
            wire.greet()
        except BaseException as error:
            if connection is not None:
                connection.disconnect()
            raise_link_error(error)
        return wire

    def call(self, commands: Callable[[bytes], Sequence[Command]], *, errors: bool = False) -> list[Any]:
        """The replies to some commands, sent together; the builder is given the server's run_id.

        Raises LinkError. With `errors`, commands that are refused are not raised: their errors are among the replies.
        """

        def request(run_id: bytes) -> tuple[bytes, int]:
            built = commands(run_id)
            return packed(built), len(built)

        return self.call_packed(request, errors=errors)

    def call_packed(self, request: Callable[[bytes], tuple[bytes, int]], *, errors: bool = False) -> list[Any]:
        """The same for a request that is packed already, with the number of its commands.

        Raises LinkError when the connection or one of the commands fails, but for a key of the wrong type. A
        connection that had lain idle and turns out to be dead is replaced once.
        """
        try:
            wire, fresh = self._idle.pop(), False
        except IndexError:
            wire, fresh = self.connect(), True
        while True:
            try:
                replies = wire.exchange(*request(wire.run_id))
            except TimeoutError as error:
                wire.close()
                raise failure(error) from None
            except (RedisConnectionError, OSError) as error:
                wire.close()
                if fresh:
                    raise failure(error) from None
                self.drop_idle()
                wire, fresh = self.connect(), True
            except BaseException as error:  # also of an interruption: the rest of the reply would be the next one's
                wire.close()
                raise_link_error(error)
            else:
                self._idle.append(wire)
                if self._closed or len(self._idle) > MAX_IDLE:
                    self.drop_idle(0 if self._closed else MAX_IDLE)
                if not errors:
                    check(replies)
                return replies

    def drop_idle(self, keep: int = 0) -> None:
        """Close the connections that nobody uses: the server behind them may not be the one to ask any more.

        `keep` so many of them, those used last.
        """
        for _ in range(len(self._idle) - keep):
            try:
                wire = self._idle.popleft()
            except IndexError:
                return  # somebody uses it, or closes it as well
            wire.close()

    def close(self) -> None:
        """Close the connections; those in use close when they are done."""
        self._closed = True
        self.drop_idle()


def check(replies: Sequence[object]) -> None:
    """LinkError for the first command that was refused."""
    for reply in replies:
        if isinstance(reply, ResponseError) and is_refusal(reply):
            raise failure(reply)


def is_refusal(reply: object) -> bool:
    """Whether a reply says that its command was not carried out, for another reason than the type of its key."""
    return isinstance(reply, ResponseError) and not is_wrong_type(reply)


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
