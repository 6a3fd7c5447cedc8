"""Real servers for tests: each is a child process on a free port, waited for by condition, ended by its process id.

Redis and PostgreSQL have files of their own: redis_servers, postgres_servers.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import pytest

HOST = "127.0.0.1"
START_SECONDS = 30.0
START_ATTEMPTS = 3
JAVA = 17
"""The oldest that DynamoDB Local runs on."""
FETCHED = Path(__file__).parent.parent / ".servers"
"""Where `make test` and `make servers` put them."""
#: What conftest looks for to list the missing servers at the end of a run.
UNAVAILABLE = "server not available: "

AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Published by Microsoft: no secret."""

ONLY_DYNAMODB = """
from botocore.loaders import Loader
Loader.list_available_services = lambda loader, type_name: ["dynamodb"]
from microburst.cli import main
main()
"""
"""microburst, which else reads the models of all AWS's services at its first request: seconds, and 400 MB."""

P = TypeVar("P")
Server = Callable[[Path], AbstractContextManager[str]]
"""Starts a server in a folder, and gives its address until the block ends."""


class ServerError(Exception):
    """A server did not start, or did not answer in time."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test because there is no server for it; in CI's mode (BLUESTAR_TEST_REQUIRE_SERVERS=1) fail instead."""
    if os.environ.get("BLUESTAR_TEST_REQUIRE_SERVERS") == "1":
        pytest.fail(UNAVAILABLE + reason, pytrace=False)
    pytest.skip(UNAVAILABLE + reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True


def http_answers(url: str) -> bool:
    """Whether an HTTP server is there; any status will do (DynamoDB answers 400 to an unsigned GET)."""
    address = urlsplit(url)
    connection_class = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = connection_class(address.hostname or HOST, address.port, timeout=2)
    try:
        connection.request("GET", address.path or "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def redis_answers(url: str) -> bool:
    """Whether a Redis is there and ready; "-NOAUTH" counts, "-LOADING" does not."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or HOST, address.port or 6379), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Come back as soon as the condition holds; a ServerError that says `what` was not so, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise ServerError(f"waited {seconds:g} seconds and still not: {what}")
        time.sleep(0.01)


def launch(
    name: str,
    command: Sequence[str],
    ready: Callable[[subprocess.Popen[bytes]], bool],
    folder: Path,
    log: Path,
    account: Mapping[str, Any] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server and wait until it is ready. Its output goes to `log`, and into the error.

    `account` has Popen's options of whom to run it as.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **(account or {})
        )
    try:
        wait_until(lambda: process.poll() is not None or ready(process), f"{name} answers")
        if process.poll() is None:
            return process
        failure = f"{name} ended with {process.returncode}"
    except ServerError as error:
        failure = str(error)
    except BaseException:  # also KeyboardInterrupt: nobody else knows the process yet
        stop(process)
        raise
    stop(process)
    raise ServerError(f"{failure}: {log.read_text(errors='replace')[-2000:]}")


def on_a_free_port(start: Callable[[int], P], port: Callable[[], int] = free_port) -> tuple[P, int]:
    """Start something on a free port; on another one if that fails.

    Between our finding a free port and the server's binding it another process may take it.
    """
    for _ in range(START_ATTEMPTS - 1):
        candidate = port()
        with suppress(ServerError):
            return start(candidate), candidate
    candidate = port()
    return start(candidate), candidate


@contextmanager
def running(
    name: str, command: Callable[[int], Sequence[str]], ready: Callable[[int], bool], folder: Path
) -> Iterator[int]:
    """Run a server on a free port (`command` and `ready` are given the port) until the block ends."""

    def start(port: int) -> subprocess.Popen[bytes]:
        return launch(name, command(port), lambda _: ready(port), folder, folder / f"{name}-{port}.log")

    process, port = on_a_free_port(start)
    try:
        yield port
    finally:
        stop(process)


@contextmanager
def shared(name: str, tmp_path_factory: pytest.TempPathFactory, start: Server) -> Iterator[str]:
    """One server for all workers of a run: who asks first starts it, and ends it when nobody uses it any more."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    users, address = folder / f"{name}.users", folder / f"{name}.address"
    with users.open("a") as use, ExitStack() as own:
        fcntl.flock(use, fcntl.LOCK_SH)  # before it looks: no server whose address it reads is ended
        with (folder / f"{name}.start").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if not address.exists():
                address.write_text(own.enter_context(start(tmp_path_factory.mktemp(name))))
                own.callback(address.unlink)
                own.callback(fcntl.flock, use, fcntl.LOCK_EX)  # first of all at the end: waits for the others
        yield address.read_text()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill rather than ask: these servers keep nothing, and an orderly end takes some of them seconds."""
    process.kill()
    process.wait()


def _java() -> str:
    """A java that can run DynamoDB Local. On a Mac without one there is a `java` all the same, which says so."""
    java = shutil.which("java")
    if java is None:
        unavailable("DynamoDB Local needs java, which is not on PATH")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA:
        unavailable(f"DynamoDB Local needs Java {JAVA}; {java} is {told.partition(chr(10))[0]!r}")
    return java


@contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """AWS's own DynamoDB Local, in memory, one database for all regions and credentials. It binds all interfaces."""
    java = _java()
    home = Path(os.environ.get("BLUESTAR_TEST_DYNAMODB_LOCAL_DIR") or FETCHED / "dynamodb-local").resolve()
    if not (home / "DynamoDBLocal.jar").is_file():
        unavailable("DynamoDB Local is not here: run `make servers`, or set BLUESTAR_TEST_DYNAMODB_LOCAL_DIR")

    def command(port: int) -> list[str]:
        library = f"-Djava.library.path={home / 'DynamoDBLocal_lib'}"
        jar = str(home / "DynamoDBLocal.jar")
        options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
        # The first compiler alone and one thread that collects: half the CPU time of a server that lives for minutes.
        return [java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", library, "-jar", jar, *options]

    with running("dynamodb-local", command, lambda port: http_answers(f"http://{HOST}:{port}"), folder) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def azurite(folder: Path, *, in_memory: bool = True, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Microsoft's emulator of Azure Blob; gives the connection string of its one account, whose key everybody knows.

    With `tls` (a certificate and its key) it is reached by https, and believes the tokens of any identity.
    """
    node = shutil.which("node")
    if node is None:
        unavailable("Azurite needs node, which is not on PATH")
    main = FETCHED / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not main.is_file():
        unavailable("Azurite is not here: run `make servers`")

    def command(port: int) -> list[str]:
        # Without the last option it refuses what is newer than itself: the current client.
        options = ["--disableTelemetry", "--silent", "--skipApiVersionCheck"]
        options += ["--inMemoryPersistence"] if in_memory else ["--location", str(folder)]
        if tls:
            options += ["--cert", str(tls[0]), "--key", str(tls[1]), "--oauth", "basic"]
        return [node, str(main), "--blobHost", HOST, "--blobPort", str(port), *options]

    with running("azurite", command, listens, folder) as port:
        endpoint = f"{'https' if tls else 'http'}://{HOST}:{port}/{AZURITE_ACCOUNT}"
        yield f"AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};BlobEndpoint={endpoint}"


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """An S3 that compares the checksums it is sent, as AWS does, and the signatures of links: by the key `testing`."""
    program = FETCHED / "ministack" / "bin" / "ministack"
    if not program.is_file():
        unavailable("MiniStack is not here: run `make servers`")

    def command(port: int) -> list[str]:
        keys = ["AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing"]
        return ["env", f"GATEWAY_PORT={port}", f"BIND_HOST={HOST}", *keys, str(program)]

    with running("ministack", command, lambda port: http_answers(f"http://{HOST}:{port}"), folder) as port:
        yield f"http://{HOST}:{port}"


@dataclass(frozen=True)
class FaultProxy:
    """microburst before a server. Without rules it passes everything on; the first rule that matches wins."""

    url: str
    control_url: str
    protocol: str

    def add_rule(self, rule: Mapping[str, Any]) -> None:
        """Append a rule, e.g. {"operation": "PutItem", "times": 1, "error": {"code": "ThrottlingException"}}.

        microburst drops keys that it does not know without a word; here a dropped key is a ValueError. Keys within
        "response" and "request" it repeats unread: assert on `fired()` that the fault came about.
        """
        [accepted] = self._control("PATCH", "rules", [dict(rule)])
        if dropped := {key for key in rule if key not in accepted}:
            raise ValueError(f"microburst did not take {sorted(dropped)} of {rule}")

    def cut_reply(self, operation: str, times: int = 1) -> None:
        """Let the server carry out `operation` ("PutItem"; for Redis lower case: "set"), then cut its reply."""
        cut: dict[str, Any]
        if self.protocol == "redis":
            cut = {"cut_reply": {"after_bytes": 0}}
        else:
            cut = {"response": {"abort_bytes": 0}}
        self.add_rule({"operation": operation, "times": times} | cut)

    def clear(self) -> None:
        """Forget all rules and all that was fired."""
        self._control("POST", "rules", [])
        self._control("DELETE", "fired")

    def fired(self) -> list[dict[str, Any]]:
        """What was done to which request, oldest first: "operation", "action", ..."""
        events: list[dict[str, Any]] = self._control("GET", "fired")
        return events

    def _control(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control_url}/_microburst/{path}", data, method=method)  # noqa: S310 our own http URL
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 our own http URL
            return json.load(reply)


@contextmanager
def microburst(upstream_url: str, folder: Path) -> Iterator[FaultProxy]:
    """A fault proxy before an http:// (DynamoDB) or redis:// server; the database number of a redis URL is kept."""
    upstream = urlsplit(upstream_url)
    protocol = upstream.scheme
    if protocol == "redis":
        control_port = free_port()  # in this mode the control API has a port of its own
        target = f"{upstream.hostname}:{upstream.port or 6379}"
        extra = ["--protocol", "redis", "--control-port", str(control_port)]
    else:
        control_port = 0
        target = upstream_url
        extra = ["--no-resign"]

    def command(port: int) -> list[str]:
        return [sys.executable, "-c", ONLY_DYNAMODB, "--host", HOST, "--upstream", target, "--port", str(port), *extra]

    def ready(port: int) -> bool:
        # In Redis mode both listeners must be up: the data port first comes alive only through the upstream.
        control_is_up = http_answers(f"http://{HOST}:{control_port or port}/_microburst/health")
        return control_is_up and (protocol != "redis" or redis_answers(f"redis://{HOST}:{port}"))

    with running("microburst", command, ready, folder) as port:
        url = f"{protocol}://{HOST}:{port}{upstream.path}"
        yield FaultProxy(url, f"http://{HOST}:{control_port or port}", protocol)
