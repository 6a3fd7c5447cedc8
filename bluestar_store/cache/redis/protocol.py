"""Redis's protocol on one connection: requests out, replies in, with bounds on both size and time of a reply.

redis-py opens the connection (TLS, Unix sockets, Sentinel); this module does the exchanges. Measured in one run on
loopback, the two commands of a hit take 15 us here, 1.38 times as long by redis-py's connection pool and hiredis
parser, and 2.57 times as long by its pipeline (CPU: 1.43 and 3.07 times). More than 5 % of a hit in Redis.

The other reason is trust: the server may not be a Redis, or may be controlled by somebody else. This parser checks the
size of a reply before it is read, and one deadline holds for the whole answer; redis-py bounds neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ssl import SSLWantReadError
from time import monotonic
from typing import Any, Protocol, TypeAlias

import hiredis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

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
