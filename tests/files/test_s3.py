"""What only S3 has: checksums, parts, lost replies, moves cut in half, and the errors of its client."""

from __future__ import annotations

import hashlib
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError

from bluestar_store.errors import (
    AlreadyExistsError,
    BlueStarError,
    ConfigurationError,
    FileMissingError,
    FileStoreError,
)
from bluestar_store.files import s3 as s3_module
from bluestar_store.files.remote_streams import PART_BYTES
from bluestar_store.files.s3 import S3FileStore, _alike
from bluestar_store.files.s3_calls import CODES
from tests.files.doors import BucketDoor, new_bucket


@pytest.fixture(scope="module")
def bucket(moto_s3: None) -> Iterator[tuple[S3FileStore, BucketDoor]]:
    made = new_bucket()
    yield made
    made[0].close()


@pytest.fixture
def files(bucket: tuple[S3FileStore, BucketDoor]) -> Iterator[S3FileStore]:
    bucket[1].empty()
    yield bucket[0]
    bucket[0].close()  # with what a test hung on the client


@pytest.fixture
def answered() -> Iterator[S3FileStore]:
    """A store whose calls the test answers; nothing is sent."""
    files = S3FileStore("bucket", "us-east-1", "http://127.0.0.1:1", max_attempts=1)
    yield files
    files.close()


def events(files: S3FileStore) -> Any:
    return files._calls.client.meta.events


class Reply:
    """The body of an answer, as botocore's parsers want it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


def answer(status: int, body: str = "", **headers: str) -> AWSResponse:
    return AWSResponse(
        "https://s3", status, {name.replace("_", "-"): headers[name] for name in headers}, Reply(body.encode())
    )


def test_every_write_carries_a_checksum_in_a_header(files: S3FileStore) -> None:
    sent: list[Any] = []
    events(files).register("before-send.s3.*", lambda request, **_: sent.append(dict(request.headers)))
    files.write("small", b"content")
    files.write("large", bytes(PART_BYTES + 1))
    for content in (b"content", bytes(PART_BYTES), b"\0"):
        expected = b64encode(hashlib.sha256(content).digest())
        assert [1 for headers in sent if headers.get("x-amz-checksum-sha256") in (expected, expected.decode())]
    assert not [headers for headers in sent if "x-amz-trailer" in headers]


def test_a_file_that_arrives_differently_is_refused(answered: S3FileStore) -> None:
    """moto compares no checksums, so this is S3's answer without S3."""
    bad = "<Error><Code>BadDigest</Code><Message>not what was sent</Message></Error>"
    events(answered).register("before-send.s3.PutObject", lambda **_: answer(400, bad))
    events(answered).register("before-send.s3.HeadObject", lambda **_: answer(404))
    with pytest.raises(FileStoreError, match="not what was sent"):
        answered.write("a", b"new")


def test_a_write_if_absent_whose_reply_was_lost_is_known_as_ours(files: S3FileStore) -> None:
    """botocore sends it again, and S3 then says that the file is there."""
    before = "<Error><Code>PreconditionFailed</Code><Message>it is there</Message></Error>"
    for operation, content in (("PutObject", b"small"), ("CompleteMultipartUpload", bytes(PART_BYTES + 5))):
        events(files).register(
            f"after-call.s3.{operation}", _fail_with(ClientError({"Error": {"Code": "PreconditionFailed"}}, before))
        )
        files.write(operation, content, if_absent=True)
        assert files.read(operation) == content
    with pytest.raises(AlreadyExistsError):
        files.write("PutObject", b"another", if_absent=True)


def test_a_move_cut_at_any_call_never_loses_the_file(files: S3FileStore) -> None:
    for operation in ("HeadObject", "CopyObject", "DeleteObject"):
        for moment in ("before-call", "after-call"):
            files.write("a", b"content")
            files.delete("b")
            handler = _fail_with(ConnectionClosedError(endpoint_url="x"))
            events(files).register(f"{moment}.s3.{operation}", handler)
            with pytest.raises(FileStoreError):
                files.move("a", "b")
            events(files).unregister(f"{moment}.s3.{operation}", handler)
            assert b"content" in [files.read(path) for path in files.list_files()]


def test_a_copy_that_is_not_whole_keeps_the_source(files: S3FileStore) -> None:
    files.write("a", b"content")

    def damage(**_: Any) -> None:
        files.write("b", b"differs")

    events(files).register("after-call.s3.CopyObject", damage)
    with pytest.raises(FileStoreError, match="is not as"):
        files.move("a", "b")
    assert files.read("a") == b"content"


def test_a_copy_in_one_piece_of_what_came_in_parts_is_whole(files: S3FileStore) -> None:
    """S3 then has one checksum of the parts' checksums, and one of the whole."""
    files.write("a", bytes(PART_BYTES + 1))
    files.move("a", "b")
    assert files.stat("b").size_bytes == PART_BYTES + 1


def test_of_two_checksums_only_those_of_whole_files_are_compared() -> None:
    one, other, parts = ({"ContentLength": 3, "ChecksumSHA256": each} for each in ("abc=", "xyz=", "xyz=-2"))
    assert _alike(one, one)
    assert not _alike(one, other)
    assert _alike(one, parts)
    assert _alike(one, {"ContentLength": 3})
    assert not _alike(one, {"ContentLength": 4})


def test_what_is_larger_than_one_copy_may_be_is_copied_in_parts(
    files: S3FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "MAX_COPY_BYTES", PART_BYTES)
    monkeypatch.setattr(s3_module, "COPY_PART_BYTES", 5 * 1024 * 1024)
    content = bytes(range(256)) * (PART_BYTES // 256) + b"more"
    files.write("a", content, "text/csv")
    files.move("a", "b")
    assert files.list_files() == ["b"]
    assert files.read("b") == content
    assert files.stat("b").content_type == "text/csv"


def test_an_upload_that_was_dropped_leaves_no_parts(files: S3FileStore, bucket: tuple[S3FileStore, BucketDoor]) -> None:
    file = files.open("a", "wb")
    file.write(bytes(PART_BYTES + 1))
    file.discard()
    assert "Uploads" not in bucket[1].client.list_multipart_uploads(Bucket=files.bucket)


def test_a_file_that_changed_while_it_was_read_is_an_error(files: S3FileStore) -> None:
    files.write("a", bytes(4 * 1024 * 1024))
    with files.open("a") as file:
        file.read(10)
        files.write("a", b"\1" * 4 * 1024 * 1024)
        file.seek(3 * 1024 * 1024)
        with pytest.raises(FileStoreError, match="changed while it was read"):
            file.read(1)


@pytest.mark.slow
def test_two_gib_stream_in_under_64_mib(answered: S3FileStore) -> None:
    """Without a server, which would have to keep them."""
    created = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    done = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
    parts: list[int] = []

    def take(request: Any, **_: Any) -> AWSResponse:
        parts.append(int(request.headers["Content-Length"]))
        return answer(200, ETag="e")

    events(answered).register("before-send.s3.CreateMultipartUpload", lambda **_: answer(200, created))
    events(answered).register("before-send.s3.UploadPart", take)
    events(answered).register("before-send.s3.CompleteMultipartUpload", lambda **_: answer(200, done))
    block = bytes(1024 * 1024)
    tracemalloc.start()
    try:
        with answered.open("big", "wb") as file:
            for _ in range(2048):
                file.write(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(parts) == 2 * 1024**3
    assert peak < 64 * 1024 * 1024


def test_a_missing_bucket_is_a_configuration_error_whatever_is_called(moto_s3: None) -> None:
    files = S3FileStore("no-such-bucket-here")
    for call in (files.read, files.stat, files.exists, files.list_files, files.link):
        with pytest.raises(ConfigurationError, match="BLUESTAR_FILES_URL"):
            call("a")
    with pytest.raises(ConfigurationError):
        files.write("a", b"x")
    files.close()


def test_every_code_of_the_table_becomes_its_error(files: S3FileStore) -> None:
    for code, kind in {**CODES, "SomethingNew": FileStoreError}.items():
        error = files._calls.translated(ClientError({"Error": {"Code": code, "Message": "m"}}, "GetObject"), "a")
        assert type(error) is kind
        assert isinstance(error, BlueStarError)


def test_a_server_that_is_not_there_is_a_file_store_error() -> None:
    files = S3FileStore("bucket", "us-east-1", "http://127.0.0.1:1", max_attempts=1)
    with pytest.raises(FileStoreError, match="cannot be reached") as failed:
        files.read("a")
    assert not isinstance(failed.value, FileMissingError)


def test_missing_credentials_are_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="credentials"):
        S3FileStore("bucket", "us-east-1", "http://127.0.0.1:1").read("a")


def _fail_with(error: Exception) -> Any:
    def fail(**_: Any) -> None:
        raise error

    return fail
