"""This Python as if it were another system's: python -m tests.platform_process darwin|win32 FOLDER.

Everything is imported once as it is, so that the standard library and other packages have found their way here; then
the package is forgotten, the names that the other system lacks are taken away, and it is imported and used anew.
Every line on stdout is JSON: [name, what came of it].
"""

from __future__ import annotations

import fcntl
import json
import os
import pkgutil
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import boto3
import filelock
import pytest
from moto import mock_aws

FULL_SYNC = 51
"""macOS's F_FULLFSYNC."""
MACOS_LACKS = {
    os: "fdatasync posix_fadvise posix_fallocate sched_getaffinity sched_setaffinity memfd_create eventfd pipe2 splice "
    "copy_file_range getrandom getxattr setxattr listxattr removexattr pidfd_open O_DIRECT O_PATH O_NOATIME "
    "O_RSYNC",
    time: "CLOCK_BOOTTIME CLOCK_TAI",
    signal: "SIGRTMIN SIGRTMAX SIGPWR SIGSTKFLT SIGPOLL sigwaitinfo sigtimedwait",
}
WINDOWS_LACKS = {
    os: f"{MACOS_LACKS[os]} register_at_fork fork forkpty fchmod fchown chown lchown chroot getuid geteuid getgid "
    "getegid getgroups getpgid getpgrp setsid killpg uname nice O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_SYNC "
    "O_DSYNC pread pwrite preadv pwritev readv writev sendfile fwalk mkfifo mknod openpty sysconf statvfs fstatvfs "
    "wait wait3 wait4 posix_spawn pathconf fpathconf lockf ttyname getloadavg fchdir sync",
    time: f"{MACOS_LACKS[time]} CLOCK_MONOTONIC CLOCK_REALTIME clock_gettime clock_gettime_ns clock_settime tzset",
    signal: f"{MACOS_LACKS[signal]} SIGHUP SIGALRM SIGUSR1 SIGUSR2 SIGWINCH SIGCHLD SIGPIPE SIGKILL SIGQUIT SIGTSTP "
    "SIGCONT SIGSTOP pthread_sigmask setitimer alarm sigwait pause siginterrupt",
    socket: "AF_UNIX",
}
NOT_ON_WINDOWS = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "readline")
AGENTS_TEST = """
def test_rules(bluestar_store, bluestar_dynamo_store, bluestar_redis):
    for store in (bluestar_store, bluestar_dynamo_store):
        assert str(store.irs_limits.get(2026).max_401k) == "24500"
"""
DEMO = (
    ("create",),
    ("seed",),
    ("seed", "--from", "fixtures/demo"),
    ("inspect", "pipeline", "ACME", "BiWeeklyFri"),
    ("inspect", "rules", "ACME"),
    ("inspect", "rules", "NEWCO"),
)


def tell(name: str, outcome: object) -> None:
    sys.__stdout__.write(json.dumps([name, outcome]) + "\n")  # type: ignore[union-attr]  # a process has one


def outcome_of(call: Callable[[], object]) -> str:
    """The error of a call and its text; "" when there is none."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def import_all() -> list[str]:
    """Import every module of the package; what failed."""
    package = import_module("bluestar_store")
    names = [found.name for found in pkgutil.walk_packages(package.__path__, "bluestar_store.")]
    assert len(names) > 250
    failed = ((name, outcome_of(lambda name=name: import_module(name))) for name in names)  # type: ignore[misc]
    return [f"{name}: {failure}" for name, failure in failed if failure]


def become(platform: str) -> None:
    """Take away what the other system lacks."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "bluestar_store"]:
        del sys.modules[name]
    for module, lacking in (MACOS_LACKS if platform == "darwin" else WINDOWS_LACKS).items():
        for name in lacking.split():
            with suppress(AttributeError):
                delattr(module, name)
    if platform == "win32":
        gone: dict[str, ModuleType | None] = dict.fromkeys(NOT_ON_WINDOWS)
        sys.modules.update(gone)  # type: ignore[arg-type]  # None: an import of it fails
        # It was imported as Linux has it. On Windows it locks by a module that Linux lacks.
        filelock.FileLock = filelock.SoftFileLock
        shutil.__dict__["_use_fd_functions"] = False  # as it finds out there, from names that are gone
    sys.platform = platform


def command(*arguments: str) -> list[object]:
    """The exit code of the command, what it printed, and what it said on stderr."""
    from typer.testing import CliRunner

    from bluestar_store.cli import app

    done = CliRunner().invoke(app, arguments, prog_name="bluestar-store")
    return [done.exit_code, done.stdout, done.stderr]


def on_macos(folder: Path) -> None:
    """Everything works, and what has to be on disk is past the drive's cache."""
    synced: list[int] = []
    real_fcntl, real_fsync = fcntl.fcntl, os.fsync

    def full_sync(descriptor: Any, request: int, *more: Any) -> Any:
        if request != FULL_SYNC:
            return real_fcntl(descriptor, request, *more)
        synced.append(descriptor)
        return real_fsync(descriptor)

    setattr(fcntl, "F_FULLFSYNC", FULL_SYNC)  # noqa: B010  # no type checker knows it here
    with patch.object(fcntl, "fcntl", full_sync), patch.object(os, "fsync", lambda _: tell("plain fsync", "called")):
        from bluestar_store import BatchState, Settings, Store, seeding
        from bluestar_store.documents import export_documents, get_store
        from bluestar_store.files import open_files
        from bluestar_store.transfer import export

        settings = Settings(persistence_mode="file", file_persistence_dir=folder / "store")
        for _ in range(2):
            with Store.open(settings) as store:
                store.create_tables()
                seeding.load(store, seeding.baseline())
                store.batches.put(BatchState(batch_id=f"b{len(synced)}", plan_id="ACME"))
                tell("limits", str(store.irs_limits.get(2026).max_401k))
                export(store, folder / f"export{len(synced)}")
        documents = get_store("orders", "id", settings=settings)
        documents.create({"id": "1"})
        export_documents([documents], folder / "orders.json")
        files = open_files((folder / "files").as_uri())
        files.write("a/b", b"x")
        files.move("a/b", "a/c")
        tell("files", files.list_files())
        for arguments in DEMO:
            tell(" ".join(arguments), command("--mode", "file", "--dir", str(folder / "demo"), *arguments))
        tell("full syncs", len(synced))


def on_windows(folder: Path) -> None:
    """DynamoDB, memory, the command and the plugin work; what needs POSIX says so."""
    from bluestar_store import BatchState, Settings, Store, seeding
    from bluestar_store.cache.redis.client import open_topology
    from bluestar_store.documents import get_store
    from bluestar_store.files import open_files

    offline = Settings(persistence_mode="file", file_persistence_dir=folder / "store")
    tell("file", outcome_of(lambda: Store.open(offline)))
    tell("documents", outcome_of(lambda: get_store("orders", "id", settings=offline)))
    tell("files", outcome_of(lambda: open_files((folder / "files").as_uri())))
    unix = Settings(persistence_mode="memory", redis_url="unix:///redis.sock")
    tell("unix", outcome_of(lambda: open_topology(unix)))
    for mode in ("memory", "dynamo"):
        with mock_aws(), Store.open(Settings(persistence_mode=mode)) as store:
            store.create_tables()
            seeding.load(store, seeding.baseline())
            with store.unit_of_work() as uow:
                uow.batches.put(BatchState(batch_id="b", plan_id="ACME"))
                uow.audit.append("b", actor="me", action="begin")
            tell(mode, [str(store.irs_limits.get(2026).max_401k), len(list(store.audit.entries("b")))])
    with mock_aws():
        for arguments in DEMO:
            tell(" ".join(arguments), command(*arguments))
        export, plan = str(folder / "export"), str(folder / "plan.json")
        tell("seed --plan", command("seed", "--from", "fixtures/demo", "--plan", plan))
        tell("export", command("export", export))
        tell("import", command("import", export, "--merge"))
        tell("create --mode file", command("--mode", "file", "--dir", str(folder / "store"), "create"))
    (folder / "test_agent.py").write_text(AGENTS_TEST)
    with redirect_stdout(StringIO()) as said:
        ended = pytest.main(["-q", "-p", "no:cacheprovider", str(folder / "test_agent.py")])
    tell("plugin", [ended, said.getvalue()])
    tell("left", sorted(path.name for path in folder.iterdir()))


def main() -> None:
    platform, folder = sys.argv[1], Path(sys.argv[2])
    assert import_all() == []
    with mock_aws():  # moto loads much of itself at the first call
        boto3.client("dynamodb").list_tables()
    become(platform)
    tell("imports", import_all())
    (on_macos if platform == "darwin" else on_windows)(folder)


if __name__ == "__main__":
    main()
