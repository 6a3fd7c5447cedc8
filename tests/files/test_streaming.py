"""Large files in little memory, up and down: what a process grows by, as its system counts it (peak resident size).

128 MiB, or with --soak the 2 GiB that the library promises, on every store that keeps files outside the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.files.doors import new_bucket, new_container
from tests.files.worker_process import MIB

ROOT = Path(__file__).parents[2]
BOUND_BYTES = 64 * MIB

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc to read the resident size"),
]


def streamed(mib: int, record: Callable[[str, object], None], **environment: str) -> None:
    """Up, and down in a process of its own: memory that the first one had would be there for the second."""
    sums = set()
    for job in ("up", "down"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.files.worker_process", job, str(mib)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            check=True,
        )
        found = json.loads(done.stdout)
        record(f"grown_{job}", found["grown"])
        print(f"{mib} MiB {job}: grown by {found['grown'] / MIB:.1f} MiB")
        assert found["grown"] < BOUND_BYTES
        sums.add(found["sha256"])
    assert len(sums) == 1


@pytest.fixture
def mib(soak: bool) -> int:
    return 2048 if soak else 128


@pytest.fixture
def azurite_on_disk(tmp_path: Path) -> Iterator[str]:
    with servers.azurite(tmp_path, in_memory=False) as connection_string:
        yield connection_string


def test_a_folder(mib: int, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    streamed(mib, record_property, BLUESTAR_FILES_URL=tmp_path.as_uri())


def test_s3(mib: int, moto_server: str, record_property: Callable[[str, object], None]) -> None:
    files, door = new_bucket(moto_server)
    url = f"s3://{files.bucket}/prefix"
    streamed(mib, record_property, BLUESTAR_FILES_URL=url, BLUESTAR_FILES_ENDPOINT_URL=moto_server)
    door.empty()
    files.close()


def test_azure(mib: int, azurite_on_disk: str, record_property: Callable[[str, object], None]) -> None:
    files, door = new_container(azurite_on_disk)
    url = f"az://{door.client.container_name}/prefix"
    streamed(mib, record_property, BLUESTAR_FILES_URL=url, AZURE_STORAGE_CONNECTION_STRING=azurite_on_disk)
    files.close()
