"""A proxy before an HTTP server, by which a test damages what goes over the wire, or cuts it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.servers import HOST


class Fate(Enum):
    PASS = auto()
    DAMAGE = auto()
    """One bit of what is sent is another one when it arrives."""
    DAMAGE_ANSWER = auto()
    """One bit of the answer is."""
    CUT = auto()
    """The server never hears of it."""
    CUT_ANSWER = auto()
    """The server does it, and the answer is lost."""


class Wire:
    """`fate` decides over each call, by its method and its number, from 1; `reset` counts anew and lets all pass."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self.host, self.port = address.hostname or HOST, address.port
        self.lock = threading.Lock()
        self.fate: Callable[[str, int], Fate]
        self.calls: list[tuple[str, Fate]]
        self.reset()

    def reset(self) -> None:
        self.calls = []
        self.fate = lambda method, number: Fate.PASS

    def decide(self, method: str) -> Fate:
        with self.lock:
            found = self.fate(method, len(self.calls) + 1)
            self.calls.append((method, found))
            return found


@contextmanager
def wire(upstream: str) -> Iterator[tuple[Wire, str]]:
    """The proxy before a server, and its URL."""
    proxy = Wire(upstream)

    class Handler(_Handler):
        wire = proxy

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield proxy, f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the content would wait 40 ms for the head to be acknowledged
    wire: Wire

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = self.wire.decide(self.command)
        if fate is Fate.CUT:
            self.close_connection = True
            return
        upstream = http.client.HTTPConnection(self.wire.host, self.wire.port, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":  # answered here already
                    upstream.putheader(name, value)
            upstream.endheaders(_damaged(body) if fate is Fate.DAMAGE else body)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        if fate is Fate.CUT_ANSWER:
            self.close_connection = True
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(_damaged(content) if fate is Fate.DAMAGE_ANSWER else content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a test says what it saw."""


def _damaged(content: bytes) -> bytes:
    """The content with one bit turned, in the middle."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] if content else content
