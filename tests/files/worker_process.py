"""A process that works on the file store of BLUESTAR_FILES_URL: python -m tests.files.worker_process JOB NUMBER."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bluestar_store.files import FileStore, open_files

MIB = 1024 * 1024
KILLED_BYTES = 4 * MIB
"""Of each file that is being written, copied or moved when the process is killed."""


def blocks(count: int) -> Iterator[bytes]:
    """So many different MiB."""
    block = bytes(range(256)) * (MIB // 256)
    for number in range(count):
        yield number.to_bytes(8) + block[8:]


def up(files: FileStore, mib: int) -> None:
    """Write a large file; tell its checksum, and by how many bytes the process grew at most meanwhile."""
    files.write("small", b"x" * 1000)  # whatever is made at first use
    found = hashlib.sha256()
    before = peak_bytes(forget=True)
    with files.open("large", "wb") as target:
        for block in blocks(mib):
            found.update(block)
            target.write(block)
    print(json.dumps({"grown": peak_bytes() - before, "sha256": found.hexdigest()}))


def down(files: FileStore, mib: int) -> None:
    """Read it. The same."""
    files.read("small")
    found = hashlib.sha256()
    before = peak_bytes(forget=True)
    with files.open("large") as source:
        while block := source.read(MIB):
            found.update(block)
    print(json.dumps({"grown": peak_bytes() - before, "sha256": found.hexdigest()}))


def peak_bytes(*, forget: bool = False) -> int:
    """The peak of the resident size (ru_maxrss would have the parent's in it), or else begin a new one."""
    if forget:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def write(files: FileStore, number: int) -> None:
    files.write("in/a", bytes([number % 256]) * KILLED_BYTES)


def copy(files: FileStore, number: int) -> None:
    files.copy("source", "in/a")


def move(files: FileStore, number: int) -> None:
    files.move(*(("in/a", "out/deep/a") if files.exists("in/a") else ("out/deep/a", "in/a")))


def for_ever(job: Callable[[FileStore, int], None], files: FileStore) -> None:
    """A line on stdout after each time."""
    number = 0
    while True:
        job(files, number)
        print(number, flush=True)
        number += 1


def main() -> None:
    job, number = sys.argv[1:]
    files = open_files(
        os.environ["BLUESTAR_FILES_URL"], endpoint_url=os.environ.get("BLUESTAR_FILES_ENDPOINT_URL") or None
    )
    if job in ("up", "down"):
        {"up": up, "down": down}[job](files, int(number))
    else:
        for_ever({"write": write, "copy": copy, "move": move}[job], files)


if __name__ == "__main__":
    main()
