"""Agent code written against `IFileStore`, on each store, and what an old module's own tests do with moto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bluestar_store.errors import BlueStarError, ConfigurationError, FileMissingError
from bluestar_store.files.local import LocalFileStore
from bluestar_store.persistence import IFileStore, MemoryFileStore, S3FileStore

STORES: list[type[IFileStore]] = [S3FileStore, MemoryFileStore, LocalFileStore]


class OldFiles:
    """An implementation of before the library: four methods."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, path: str) -> bytes:
        return self.files[path]

    def write(self, path: str, data: bytes | str, content_type: str = "application/octet-stream") -> str:
        self.files[path] = data.encode() if isinstance(data, str) else data
        return path

    def move(self, src: str, dst: str) -> None:
        self.files[dst] = self.files.pop(src)

    def list_files(self, prefix: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(prefix))


def an_agent(files: IFileStore) -> list[str]:
    """Takes in what a vendor sent, and leaves an answer."""
    for path in files.list_files("in/"):
        lines = files.read(path).decode().splitlines()
        files.write(f"out/{path.removeprefix('in/')}.count", str(len(lines)), "text/plain")
        files.move(path, f"done/{path.removeprefix('in/')}")
    return files.list_files("")


@pytest.fixture
def s3() -> Iterator[Any]:
    """A boto3 client on moto, and the bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="payroll-files")
        yield client


@pytest.mark.parametrize("implementation", [*STORES, OldFiles], ids=lambda found: found.__name__)
def test_every_file_store_is_one_when_it_runs(implementation: type) -> None:
    assert issubclass(implementation, IFileStore)


def test_agent_code_runs_unchanged_on_every_store(s3: Any, tmp_path: Path) -> None:
    stores: list[IFileStore] = [
        S3FileStore("payroll-files"),
        MemoryFileStore(),
        LocalFileStore(tmp_path),
        OldFiles(),
    ]
    for files in stores:
        assert files.write("in/ACME/hours.csv", "employee,hours\n7,80\n", "text/csv") == "in/ACME/hours.csv"
        files.write("in/b.csv", b"")
        assert an_agent(files) == [
            *("done/ACME/hours.csv", "done/b.csv", "out/ACME/hours.csv.count", "out/b.csv.count"),
        ]
        assert files.read("out/ACME/hours.csv.count") == b"2"


def test_what_it_writes_another_client_reads_and_the_other_way_round(s3: Any) -> None:
    files = S3FileStore("payroll-files", region="us-east-1", endpoint_url=None)
    files.write("a/b.txt", "text", "text/plain")
    found = s3.get_object(Bucket="payroll-files", Key="a/b.txt")
    assert (found["Body"].read(), found["ContentType"]) == (b"text", "text/plain")
    s3.put_object(Bucket="payroll-files", Key="theirs", Body=b"x")
    assert files.read("theirs") == b"x"
    files.write("untyped", b"x")
    assert s3.head_object(Bucket="payroll-files", Key="untyped")["ContentType"] == "application/octet-stream"


def test_a_store_made_before_the_mock_is_seen_by_it() -> None:
    files = S3FileStore("payroll-files")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="payroll-files")
        files.write("a", "x")
        assert files.list_files("") == ["a"]


def test_a_move_of_what_is_not_there_is_a_file_missing_error(s3: Any) -> None:
    for files in (S3FileStore("payroll-files"), MemoryFileStore()):
        files.write("there", b"x")
        with pytest.raises(FileMissingError):
            files.move("nowhere", "there")
        with pytest.raises(FileMissingError):
            files.read("nowhere")
        assert files.read("there") == b"x"


def test_a_bucket_that_is_not_there_is_an_error_that_says_so(s3: Any) -> None:
    files = S3FileStore("no-such-bucket")
    calls = (lambda: files.read("a"), lambda: files.write("a", "x"), lambda: files.list_files(""))
    for call in (*calls, lambda: files.move("a", "b")):
        with pytest.raises(ConfigurationError, match="bucket no-such-bucket does not exist") as refused:
            call()
        assert isinstance(refused.value, BlueStarError)
