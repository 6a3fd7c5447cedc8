"""Connections to one Redis server: Redis's protocol, and a pool whose connections know the run of the server.

Redis keys end with the server's `run_id`, so that after a restart from an old snapshot, or the promotion of a replica
without the last writes, no value from before is read. The commands of a call are therefore built when its connection is
known. redis-py's pool and clients cannot be used for this: they reconnect silently to what may be another run.

redis-py opens the connection (TLS, Unix sockets, Sentinel); `RespConnection` does the exchanges. Measured in one run on
loopback, the two commands of a hit take 15 us here, 1.38 times as long by redis-py's connection pool and hiredis
parser, and 2.57 times as long by its pipeline (CPU: 1.43 and 3.07 times). More than 5 % of a hit in Redis.

The other reason is trust: the server may not be a Redis, or may be controlled by somebody else. This parser checks the
size of a reply before it is read, and one deadline holds for the whole answer; redis-py bounds neither.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from ssl import SSLWantReadError
from time import monotonic
from typing import Any, NoReturn, Protocol, TypeAlias

import hiredis
from redis.connection import ConnectionPool, DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command: TypeAlias = tuple[Any, ...]
READ_BYTES = 65536
MAX_BULK_BYTES = 1024 * 1024 + 1024
"""The largest text: a value of the largest size, and what stands before it."""
MAX_ANSWER_BYTES = 64 * MAX_BULK_BYTES
"""All replies to one request."""
MAX_LINE_BYTES = 16 * 1024
"""The largest header, number or error."""
MAX_NUMBER_BYTES = 20
MAX_DEPTH = 3
"""Of lists in lists: SCAN's keys lie two deep."""
TEXT, NUMBER, LIST, STATUS, ERROR = b"$:*+-"
_SHORT = re.compile(rb"\$([0-9]{1,7})\r\n|:(-?[0-9]{1,18})\r\n").match
MAX_IDLE = 64
"""Idle connections that are kept open."""


class Connection(Protocol):
    """What is used of a redis-py connection. `_sock` has no public name in any version of redis-py."""

    _sock: Any
    username: str | None
    password: str | None
    client_name: str | None
    db: Any
    socket_timeout: float

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...


def packed(commands: Sequence[Command]) -> bytes:
    """Commands in Redis's protocol, to be sent together."""
    return b"".join(map(hiredis.pack_command, commands))


class RespConnection:
    """An open connection, for one exchange at a time.

    After an error or an interruption it has to be closed: the rest of a reply would be taken for the next one.
    """

    __slots__ = ("_at", "_connection", "_data", "_ends", "_left", "_seconds", "_socket", "run_id")

    def __init__(self, connection: Connection) -> None:
        self._connection, self._socket, self._seconds = connection, connection._sock, connection.socket_timeout
        self._data, self._at, self._left, self._ends = b"", 0, 0, 0.0
        self.run_id = b""

    def handshake(self) -> None:
        """Log in, select the database, and read the server's run_id. Raises redis-py's errors."""
        connection, commands = self._connection, list[Command]()
        if connection.password or connection.username:
            user = (connection.username,) if connection.username else ()
            commands.append(("AUTH", *user, connection.password or ""))
        if connection.client_name:
            commands.append(("CLIENT", "SETNAME", connection.client_name))
        if connection.db:
            commands.append(("SELECT", connection.db))
        commands.append(("INFO", "server"))
        replies = self.exchange(packed(commands), len(commands))
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        lines = replies[-1].splitlines() if isinstance(replies[-1], bytes) else []
        self.run_id = next((line.partition(b":")[2] for line in lines if line.startswith(b"run_id:")), b"")
        if not self.run_id.isalnum() or len(self.run_id) > 64:
            raise ResponseError("INFO tells no run_id")

    def exchange(self, request: bytes, count: int) -> list[Any]:
        """Send a request and read `count` replies, in order; error replies are among them.

        Raises OSError (TimeoutError when the whole answer is not there in time), or redis-py's errors: ConnectionError
        when the server is not there or not ready, InvalidResponse for malformed or oversized replies.
        """
        self._ends, self._left = monotonic() + self._seconds, MAX_ANSWER_BYTES
        self._socket.sendall(request)
        self._data = data = self._socket.recv(READ_BYTES) or _closed()
        at, replies = 0, list[Any]()
        for _ in range(count):
            # Short texts and numbers, the replies of a hit, are read here without a further call.
            if (found := _SHORT(data, at)) is not None:
                start, size = found.end(), found[1]
                if size is None:
                    replies.append(int(found[2]))
                    at = start
                    continue
                end = start + int(size)
                if data[end : end + 2] == b"\r\n":
                    replies.append(data[start:end])
                    at = end + 2
                    continue
            self._at = at
            replies.append(self._reply())
            data, at = self._data, self._at
        if at != len(data):
            raise InvalidResponse("more than was asked for")
        return replies

    def send(self, command: Command) -> None:
        """Send a command; its replies are read by `receive`."""
        self._socket.settimeout(self._seconds)
        self._socket.sendall(packed([command]))

    def is_ready(self, seconds: float) -> bool:
        """Whether there is something to `receive` within so many seconds. Raises as `exchange` does."""
        if self._at < len(self._data):
            return True
        self._socket.settimeout(max(seconds, 0))
        try:
            self._data, self._at = self._socket.recv(READ_BYTES) or _closed(), 0
        except (TimeoutError, BlockingIOError, SSLWantReadError):
            return False
        return True

    def receive(self) -> Any:
        """The next reply, which has to be complete within the timeout. Raises as `exchange` does."""
        self._begin()
        return self._reply()

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _begin(self) -> None:
        self._ends, self._left = monotonic() + self._seconds, MAX_ANSWER_BYTES

    def _reply(self, depth: int = MAX_DEPTH) -> Any:
        data, at = self._data, self._at
        end = data.find(b"\r\n", at)
        if end < 0:
            data, at, end = self._line()
        kind, self._at = data[at], end + 2
        if kind in (ERROR, STATUS):
            text = data[at + 1 : end]
            return text if kind == STATUS else _error(text)
        if end - at > MAX_NUMBER_BYTES:
            raise InvalidResponse("a number that is too long")
        try:
            number = int(data[at + 1 : end])
        except ValueError:
            raise InvalidResponse("no number where one has to be") from None
        if kind == NUMBER:
            return number
        if number == -1 and kind in (TEXT, LIST):
            return None
        if kind == TEXT and 0 <= number <= MAX_BULK_BYTES:
            return self._text(number)
        if kind == LIST and number >= 0 and depth:
            return [
                self._reply(depth - 1) for _ in range(number)
            ]  # bounded by MAX_ANSWER_BYTES: each reply has some bytes
        raise InvalidResponse("a reply that is too large, too deep, or none")

    def _text(self, size: int) -> bytes:
        ends = self._at + size
        if len(self._data) < ends + 2:
            self._more(ends + 2 - self._at)
            ends = size
        start, self._at = ends - size, ends + 2
        if self._data[ends : ends + 2] != b"\r\n":
            raise InvalidResponse("a text that does not end where it should")
        return self._data[start:ends]

    def _line(self) -> tuple[bytes, int, int]:
        while (end := self._data.find(b"\r\n", self._at)) < 0:
            if len(self._data) - self._at > MAX_LINE_BYTES:
                raise InvalidResponse("a line that is too long")
            self._more(len(self._data) - self._at + 1)
        return self._data, self._at, end

    def _more(self, size: int) -> None:
        """Read until there are `size` unparsed bytes, which are moved to the beginning of the data."""
        parts, there = [self._data[self._at :]], len(self._data) - self._at
        while there < size:
            left = self._ends - monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            parts.append(self._socket.recv(READ_BYTES) or _closed())
            there += len(parts[-1])
            self._left -= len(parts[-1])
            if self._left < 0:
                raise InvalidResponse("an answer that is too large")
        self._data, self._at = b"".join(parts), 0
        self._socket.settimeout(self._seconds)


def _error(text: bytes) -> Exception:
    message = text.decode(errors="replace")
    error: Exception = DefaultParser.parse_error(message)  # type: ignore[no-untyped-call]  # redis-py has no types there
    if isinstance(error, RedisConnectionError):
        raise error
    return error


def _closed() -> bytes:
    raise RedisConnectionError("closed by the server")


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
