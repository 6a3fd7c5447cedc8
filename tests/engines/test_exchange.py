"""Every answer that botocore understands takes one request, on connections that are kept as HTTP says."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import SimpleNamespace

import botocore.endpoint
import pytest

from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.errors import UnavailableError
from tests.engines.conftest import connection_to
from tests.engines.players import KEY, TABLE, found
from tests.servers import HOST

BODY = json.dumps({"Responses": {TABLE: [KEY]}, "UnprocessedKeys": {}}).encode()
TYPE, LENGTH = b"Content-Type: application/x-amz-json-1.0\r\n", b"Content-Length: %d\r\n" % len(BODY)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = b"%x\r\n%b\r\n%x;note=1\r\n%b\r\n0\r\n\r\n" % (10, BODY[:10], len(BODY) - 10, BODY[10:])
KEPT: dict[str, bytes] = {
    "plain": OK + TYPE + LENGTH + b"\r\n" + BODY,
    "chunked": OK + TYPE + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunked with a trailer": OK + TYPE + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n",
    "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + TYPE + LENGTH + b"\r\n" + BODY,
    "without a reason": OK.replace(b" OK", b"") + TYPE + LENGTH + b"\r\n" + BODY,
    "in small letters": OK + (TYPE + LENGTH).lower().replace(b": ", b":") + b"\r\n" + BODY,
    "of another type": OK + b"Content-Type: application/octet-stream\r\n" + LENGTH + b"\r\n" + BODY,
    "of a type in capitals": OK + TYPE.upper() + LENGTH + b"\r\n" + BODY,
    "of no type": OK + LENGTH + b"\r\n" + BODY,
    "in lines that end in a line feed": (OK + TYPE + LENGTH + b"\r\n").replace(b"\r", b"") + BODY,
    "in lines that end in either way": OK + TYPE.replace(b"\r", b"") + LENGTH + b"\n" + BODY,
    "with a header of two lines": OK + TYPE + LENGTH + b"X-Long: a\r\n  Content-Length\r\n\r\n" + BODY,
}
CLOSED: dict[str, bytes] = {
    "to be closed": OK + TYPE + LENGTH + b"Connection: close\r\n\r\n" + BODY,
    "to be closed, in words": OK + TYPE + LENGTH + b"Connection: Close, foo\r\n\r\n" + BODY,
    "without a length": OK + TYPE + b"\r\n" + BODY,
    "with a length in words": OK + TYPE + b"Content-Length: many\r\n\r\n" + BODY,
    "HTTP/1.0": OK.replace(b"1.1", b"1.0") + TYPE + LENGTH + b"\r\n" + BODY,
    "with more behind": OK + TYPE + LENGTH + b"\r\n" + BODY + b"HTTP/1.1 400 x\r\n\r\n",
}


class Server:
    """Sends the same bytes for each request, in as many packets as told, and closes the connection where told."""

    def __init__(self, answer: bytes, closes: bool, step: int) -> None:
        self._answer, self._closes, self._step = answer, closes, step
        self.requests = self.connections = 0
        self._listener = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        self._threads = [Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                data = line if line.startswith(b"POST") else data
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                if line == b"\r\n":
                    lines.read(length)
                    self.requests += 1
                    for start in range(0, len(self._answer), self._step):
                        connection.sendall(self._answer[start : start + self._step])
                    if self._closes:
                        return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()


@contextmanager
def served(answer: bytes, *, closes: bool = False, step: int = 1 << 20) -> Iterator[tuple[Server, DynamoEngine]]:
    server = Server(answer, closes, step)
    engine = DynamoEngine(connection_to(server.url), indexes=())
    try:
        yield server, engine
    finally:
        engine.close()
        server.close()


@pytest.mark.parametrize("step", [1 << 20, 7], ids=["at once", "in pieces"])
@pytest.mark.parametrize("shape", KEPT)
def test_an_answer_takes_one_request_and_keeps_its_connection(shape: str, step: int) -> None:
    with served(KEPT[shape], step=step) as (server, engine):
        for _ in range(3):
            assert found(engine) == [KEY]
        assert (server.requests, server.connections) == (3, 1)
        assert engine.connection._made().direct is not None


@pytest.mark.parametrize("shape", CLOSED)
def test_an_answer_after_which_the_connection_ends_takes_one_request(shape: str) -> None:
    with served(CLOSED[shape], closes="behind" not in shape) as (server, engine):
        for _ in range(3):
            assert found(engine) == [KEY]
        assert (server.requests, server.connections) == (3, 3)


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (KEPT["chunked"][:-20], [3]),
        (b"", [3]),
        (b"SSH-2.0-OpenSSH\r\n\r\n", [3]),
        (b"\r\n\r\n" + BODY, [3]),
        (KEPT["plain"][:-5], [2, 3]),  # botocore takes what there is, and does not try again; 1.37 does
        (OK + TYPE, [2]),
    ],
    ids=["chunks that end", "nothing", "another protocol", "no head", "a body that ends", "a head that ends"],
)
def test_an_answer_that_breaks_off_is_tried_again_by_botocore(
    answer: bytes, requests: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    with served(answer, closes=True) as (server, engine):
        with pytest.raises(UnavailableError):
            found(engine)
        assert server.requests in requests
