"""One request and one response of HTTP/1.1, on connections made as botocore's session makes them.

The session knows about TLS, certificates and timeouts; what comes after connecting is half of what a call costs in its
hands (measured), and goes out in two packets where one is enough. Only what DynamoDB says is understood here: a status,
headers, and a body of a known length. Whatever else comes is an error, after which the connection is of no use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from urllib3.util.connection import is_connection_dropped

DEFAULT_PORTS = {"http": 80, "https": 443}
READ_BYTES = 65536
MAX_HEAD_BYTES = 65536
"""Of a response's status and headers: there is no such answer of DynamoDB's."""


class Response(NamedTuple):
    """What came back; the names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class NotConnectedError(Exception):
    """Nothing was sent: there is no connection."""


class Exchange:
    """Connections to one server. Safe for threads, not for fork."""

    def __init__(self, session: Any, url: str) -> None:
        self._pool = session._manager.connection_from_url(url)
        session._setup_ssl_cert(self._pool, url, session._verify)
        self._read_seconds = self._pool.timeout.read_timeout
        self.host, self.path = host_of(url), urlsplit(url).path or "/"
        self._idle: deque[Any] = deque(maxlen=session._max_pool_connections)

    def post(self, headers: Mapping[str, str], body: bytes) -> Response:
        """The response to a POST of the body. Raises NotConnectedError, OSError, ValueError."""
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {self.host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection = self._connected()
        try:
            connection.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            response = _received(connection.sock)
        except BaseException:  # also of an interruption: the rest of the response would be the next one's
            connection.close()
            self.close()  # what has lain idle as long is likely to be dead as well
            raise
        if response.headers.get("connection", "").lower() == "close" or len(self._idle) == self._idle.maxlen:
            connection.close()
        else:
            self._idle.append(connection)
        return response

    def _connected(self) -> Any:
        with suppress(IndexError):  # there is none
            while is_connection_dropped(connection := self._idle.pop()):
                connection.close()  # by the server, while it lay idle: nothing may be sent on it, and then be in doubt
            return connection
        connection = self._pool._new_conn()
        try:
            connection.connect()
            connection.sock.settimeout(self._read_seconds)
        except Exception as error:  # urllib3's, OpenSSL's, the system's
            connection.close()
            raise NotConnectedError from error
        return connection

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


def host_of(url: str) -> str:
    """The header Host of a request to the URL: the port is left out where it goes without saying."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()  # as botocore signs it
    return host.removesuffix(f":{DEFAULT_PORTS[parts.scheme]}")


def _received(socket: Any) -> Response:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(socket)
        if len(data) > MAX_HEAD_BYTES and b"\r\n\r\n" not in data:
            raise ValueError("the head of the response is too long")
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers or not first.startswith("HTTP/1.1 "):
        raise ValueError("is no response of DynamoDB's")
    length = int(headers["content-length"])
    body = [data[end + 4 :]]
    missing = length - len(body[0])
    while missing > 0:
        body.append(_more(socket))
        missing -= len(body[-1])
    if missing < 0:
        raise ValueError("there is more than the response")
    return Response(int(first.split(" ", 2)[1]), headers, b"".join(body))


def _more(socket: Any) -> bytes:
    received: bytes = socket.recv(READ_BYTES)
    if not received:
        raise ConnectionError("closed by the server")
    return received
