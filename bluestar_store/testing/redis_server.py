"""A Redis for tests, on a port of its own: fakeredis in this process, or a real server beside it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Protocol, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bluestar_store.errors import ConfigurationError
from bluestar_store.testing.environment import INSTALL
from bluestar_store.testing.redis_wire import RequestDecoder, encoded

HOST = "127.0.0.1"
START_SECONDS = 10.0
ATTEMPTS = 3

LET_EXPIRE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 and left <= tonumber(ARGV[1]) then redis.call('DEL', key)
  elseif left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[1])) end
end
"""
"""Lets ARGV[1] ms pass for every key that expires."""


class Server(Protocol):
    """A server that can be started again at the same address. It starts empty each time."""

    port: int

    def start(self) -> None:
        """Comes back when it answers."""

    def stop(self) -> None:
        """Gone, and all connections with it."""


class RedisForTests:
    """A Redis that answers at `host` and `port`, which are also in its `url`; empty when a test begins."""

    host = HOST

    def __init__(self, server: Server) -> None:
        self._server, self._is_out = server, False
        self.port = server.port
        self.url = f"redis://{HOST}:{server.port}/0"
        once_more = Retry(NoBackoff(), 1)  # over a new connection, after an outage
        self.client = redis.Redis(host=HOST, port=server.port, retry=once_more, socket_timeout=START_SECONDS)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """In the block nothing answers. Afterwards it does again, and what it held is lost.

        A Store notices the end within a second, in the background: `store.cache.stats().redis` says "closed" then.
        """
        self._server.stop()
        self._is_out = True
        try:
            yield
        finally:
            self._server.start()
            self._is_out = False

    def pass_time(self, seconds: float) -> None:
        """Let keys expire as if so many seconds had passed; in an outage there are none."""
        if not self._is_out:
            self.client.eval(LET_EXPIRE, 0, str(round(seconds * 1000)))

    def clear(self) -> None:
        """Forget all keys."""
        self.client.flushall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the client and stop the server."""
        self.client.close()
        self._server.stop()


class FakeServer:
    """fakeredis, listening. Needs its extra `lua`. The library's cache has all that it needs there."""

    def __init__(self) -> None:
        self.port = 0
        self._server: Any = None

    def start(self) -> None:
        """See `Server`."""
        if not all(map(find_spec, ("fakeredis", "lupa"))):  # without lupa it knows no EVAL, and says so too late
            raise ConfigurationError(f"bluestar_redis needs fakeredis[lua]: {INSTALL}")
        from fakeredis import TcpFakeServer

        self._server = TcpFakeServer((HOST, self.port))
        self._server.RequestHandlerClass = _with_info(self._server.RequestHandlerClass)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fakeredis", daemon=True).start()

    def stop(self) -> None:
        """See `Server`."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _with_info(plain: Any) -> Any:
    """fakeredis's handler of one connection, with what it lacks: INFO, and going on after an error's reply."""
    info = f"# Server\r\nredis_version:8.0.0\r\nredis_mode:standalone\r\nrun_id:{uuid.uuid4().hex}\r\n".encode()

    class Handler(plain):  # type: ignore[misc]  # a class that fakeredis chose
        rfile: Any

        def setup(self) -> None:
            super().setup()
            self.rfile = _Commands(self.rfile, info)
            read = self.current_client.read_response

            def answer() -> Any:
                try:
                    return read()
                except redis.ResponseError as error:  # raised, it would end the connection
                    return error

            self.current_client.read_response = answer

    return Handler


class _Commands:
    """What a client sends, a command at a time, with an ECHO of our text in place of each INFO."""

    def __init__(self, file: Any, info: bytes) -> None:
        self._file, self._info = file, info
        self._decoder = RequestDecoder()

    def readline(self) -> bytes:
        """The next command whole; nothing while there is none."""
        while line := self._file.readline():
            for request in self._decoder.feed(line):  # one at most: a line ends no more than one command
                name = request[0].upper() if request else b""
                return encoded((b"ECHO", self._info) if name == b"INFO" else request)
        return b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class RealServer:
    """A redis-server of our own, which saves nothing."""

    def __init__(self, program: str) -> None:
        self.port = 0
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """See `Server`. ConfigurationError when it does not come up."""
        if self.port:
            return self._start()
        for attempt in range(ATTEMPTS):  # another process may take the port before Redis does
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                self.port = probe.getsockname()[1]
            try:
                return self._start()
            except ConfigurationError:
                if attempt == ATTEMPTS - 1:
                    raise

    def _start(self) -> None:
        command = [self._program, "--bind", HOST, "--port", str(self.port), "--save", ""]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603  # a program on PATH, with arguments of our own
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.005)
        self.stop()
        raise ConfigurationError(f"{self._program} was started and does not answer at port {self.port}")

    def _answers(self) -> bool:
        """Whether it is this very process that answers: another may have taken the port."""
        client = redis.Redis(host=HOST, port=self.port, retry=Retry(NoBackoff(), 0), socket_timeout=1)
        try:
            return self._process is not None and client.info("server")["process_id"] == self._process.pid
        except redis.RedisError:
            return False
        finally:
            client.close()

    def stop(self) -> None:
        """See `Server`."""
        if self._process is not None:
            self._process.kill()  # it keeps nothing
            self._process.wait()
            self._process = None


def redis_for_tests(kind: str) -> RedisForTests:
    """A Redis that runs until it is closed: `fake` (fakeredis) or `server` (the redis-server on PATH).

    ConfigurationError, with what to do, for another kind, and where what it takes is not installed.
    """
    if kind not in ("fake", "server"):
        raise ConfigurationError(f"bluestar_redis is fake or server, not {kind!r}")
    server = FakeServer() if kind == "fake" else RealServer(_program())
    server.start()
    found = RedisForTests(server)
    found.pass_time(0)  # fakeredis loads Lua at the first script, which takes longer than a Store may wait
    return found


def _program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        raise ConfigurationError("redis-server is not on PATH: install Redis, or leave out --bluestar-redis=server")
    return program
