"""One request and one response of HTTP, on connections made as botocore's session makes them.

The session knows about TLS, certificates and time-outs. What comes after connecting is written here: a request with its
response takes 11 us of CPU, 70 by http.client, 155 by urllib3, 270 by `URLLib3Session.send` (measured on loopback, of
the 55 of a whole read), and goes out in one packet, not two. A response that is not plain (chunked, of HTTP/1.0,
without a length, after a 100 Continue, with lines that end otherwise) is read by http.client.
"""

from __future__ import annotations

import io
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import botocore.exceptions as aws
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.exceptions import SSLError as URLLib3SSLError
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
    is_last: bool = False
    """Whether the connection is of no use any more."""


class Exchange:
    """Connections to one server. Safe for threads, not for fork."""

    def __init__(self, session: Any, url: str) -> None:
        self._pool = session._manager.connection_from_url(url)
        session._setup_ssl_cert(self._pool, url, session._verify)
        self._read_seconds = self._pool.timeout.read_timeout
        self._url = url
        self.host, self.path = host_of(url), urlsplit(url).path or "/"
        self._idle: deque[Any] = deque(maxlen=session._max_pool_connections)

    def post(self, headers: Mapping[str, str], body: bytes) -> Response:
        """The response to a POST of the body. Raises what botocore's session raises, for it has retries for it:

        ConnectTimeoutError, EndpointConnectionError and SSLError when nothing was sent, ReadTimeoutError and
        ConnectionClosedError (also for what is no HTTP) when the request may have been carried out.
        """
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {self.host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection = self._connected()
        try:
            connection.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            response = _received(connection.sock)
        except BaseException as error:  # also of an interruption: the rest of the response would be the next one's
            connection.close()
            self.close()  # what has lain idle as long is likely to be dead as well
            if isinstance(error, TimeoutError):
                raise aws.ReadTimeoutError(endpoint_url=self._url, error=error) from error
            if isinstance(error, OSError | HTTPException | ValueError):
                raise aws.ConnectionClosedError(endpoint_url=self._url, error=error) from error
            raise
        if response.is_last or len(self._idle) == self._idle.maxlen:
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
            raise self._unconnected(error) from error
        return connection

    def _unconnected(self, error: Exception) -> aws.BotoCoreError:
        if isinstance(error, ssl.SSLError | URLLib3SSLError):
            return aws.SSLError(endpoint_url=self._url, error=error)
        is_refused = isinstance(error, NewConnectionError)  # to urllib3 a ConnectTimeoutError, too
        if isinstance(error, ConnectTimeoutError | TimeoutError) and not is_refused:
            return aws.ConnectTimeoutError(endpoint_url=self._url, error=error)
        return aws.EndpointConnectionError(endpoint_url=self._url, error=error)

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
        if b"\n\n" in data or b"\n\r\n" in data:  # lines that end in a line feed alone
            return _received_otherwise(socket, data)
        data += _more(socket)
        if len(data) > MAX_HEAD_BYTES and b"\r\n\r\n" not in data:
            raise ValueError("the head of the response is too long")
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "")
    if not first.startswith("HTTP/1.1 ") or not length.isdecimal() or "transfer-encoding" in headers or first[9] == "1":
        return _received_otherwise(socket, data)
    body = [data[end + 4 :]]
    missing = int(length) - len(body[0])
    while missing > 0:
        body.append(_more(socket))
        missing -= len(body[-1])
    content = b"".join(body) if missing >= 0 else body[0][:missing]
    is_last = missing < 0 or "close" in headers.get("connection", "").lower()
    return Response(int(first[9:12]), headers, content, is_last)


def _received_otherwise(socket: Any, data: bytes) -> Response:
    """The response that begins with the data, by http.client."""
    response = HTTPResponse(_Opened(data, socket), method="POST")  # type: ignore[arg-type]  # it only opens a file
    response.begin()
    is_last = response.will_close
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Response(response.status, headers, content, is_last)


class _Opened(io.RawIOBase):
    """The rest of a socket's data, of which the beginning is read."""

    def __init__(self, data: bytes, socket: Any) -> None:
        self._data, self._socket = data, socket

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As a socket's."""
        return io.BufferedReader(self, READ_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            return int(self._socket.recv_into(buffer))
        count = min(len(buffer), len(self._data))
        buffer[:count], self._data = self._data[:count], self._data[count:]
        return count


def _more(socket: Any) -> bytes:
    received: bytes = socket.recv(READ_BYTES)
    if not received:
        raise ConnectionError("closed by the server")
    return received
