"""Streams from and to S3: a reader that takes up again where the connection broke, a writer that sends in parts."""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bluestar_store.errors import AlreadyExistsError, BlueStarError, FileMissingError, FileStoreError
from bluestar_store.files.s3_calls import FAILURES, S3Calls
from bluestar_store.files.streams import FileWriter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PART_BYTES = 8 * 1024 * 1024
"""10,000 of them at most (an AWS limit): files up to 78 GiB. A writer holds two at a time."""
TOKEN = "bluestar-write"  # noqa: S105 the name of a mark, no secret
READ_ATTEMPTS = 3


class S3Reader(io.RawIOBase):
    """A file as it was when it was opened; when it has changed meanwhile, reading on is a FileStoreError."""

    def __init__(self, calls: S3Calls, path: str, key: str) -> None:
        super().__init__()
        self._calls, self._path, self._key = calls, path, key
        answer = calls("get_object", path, Key=key)
        self._body: Any = answer["Body"]
        self._size, self._etag, self._at = int(answer["ContentLength"]), str(answer["ETag"]), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError("a position before the beginning")
        if at != self._at:
            self._let_go()
            self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._at >= self._size or not view.nbytes:
            if self._at == self._size and self._body is not None:
                self._attempt(0)  # the end of the body is where botocore compares its checksum
            return 0
        for left in reversed(range(READ_ATTEMPTS)):
            data = self._attempt(min(view.nbytes, self._size - self._at), last=not left)
            if data:
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
        raise FileStoreError(f"{self._path} ({self._calls.location}) broke off at byte {self._at}")

    def _attempt(self, count: int, *, last: bool = True) -> bytes:
        """The next bytes; nothing when the connection broke and it is not the last try."""
        try:
            if self._body is None:
                self._body = self._rest()
            data: bytes = self._body.read(count) if count else self._body.read()
        except FAILURES as error:
            self._let_go()
            if last:
                raise self._calls.translated(error, self._path) from error
            return b""
        if not data:
            self._let_go()
        return data

    def _rest(self) -> Any:
        try:
            found = self._calls("get_object", self._path, Key=self._key, Range=f"bytes={self._at}-", IfMatch=self._etag)
        except (AlreadyExistsError, FileMissingError):
            raise FileStoreError(f"{self._path} ({self._calls.location}) changed while it was read") from None
        return found["Body"]

    def _let_go(self) -> None:
        if self._body is not None:
            with suppress(*FAILURES):
                self._body.close()
            self._body = None

    def close(self) -> None:
        if not self.closed:
            self._let_go()
        super().close()


class S3Writer(FileWriter):
    """One PutObject, or a multipart upload when there is more than one part. S3 verifies each one's SHA-256.

    A mark of this write goes with it: by it we know our own write when its reply was lost.
    """

    def __init__(self, calls: S3Calls, path: str, key: str, content_type: str, if_absent: bool, token: str) -> None:
        super().__init__()
        self._calls, self._path, self._key, self._token = calls, path, key, token
        self._about = {"Key": key, "ContentType": content_type, "Metadata": {TOKEN: token}}
        self._condition = {"IfNoneMatch": "*"} if if_absent else {}
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []

    def _take(self, data: memoryview) -> None:
        while data.nbytes:
            if len(self._buffer) == PART_BYTES:  # and more to come
                self._send_part()
            room = PART_BYTES - len(self._buffer)
            self._buffer += data[:room]
            data = data[room:]

    def _send_part(self) -> None:
        if self._upload is None:
            answer = self._calls("create_multipart_upload", self._path, **self._about, ChecksumAlgorithm="SHA256")
            self._upload = str(answer["UploadId"])
        number, sums = len(self._parts) + 1, _checksum(self._buffer)
        content = bytes(self._buffer)
        self._buffer.clear()
        answer = self._calls(
            "upload_part", self._path, Key=self._key, UploadId=self._upload, PartNumber=number, Body=content, **sums
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": sums["ChecksumSHA256"]})

    def _commit(self) -> None:
        if self._upload is None:
            sums, content = _checksum(self._buffer), bytes(self._buffer)
            arguments = {**self._about, **sums, **self._condition}
            self._finish("put_object", Body=content, **arguments)
        else:
            self._send_part()
            parts = {"Parts": self._parts}
            arguments = {"Key": self._key, "UploadId": self._upload, "MultipartUpload": parts, **self._condition}
            self._finish("complete_multipart_upload", **arguments)
            self._upload = None
        self._buffer.clear()

    def _finish(self, operation: str, **arguments: Any) -> None:
        try:
            self._calls(operation, self._path, **arguments)
        except BlueStarError:
            if not self._is_ours():
                raise

    def _is_ours(self) -> bool:
        """Whether what is there now is what we wrote: botocore repeats a call whose reply was lost."""
        try:
            found = self._calls("head_object", self._path, Key=self._key)
        except BlueStarError:
            return False
        return bool(found.get("Metadata", {}).get(TOKEN) == self._token)

    def _drop(self) -> None:
        self._buffer.clear()
        if self._upload is not None:
            upload, self._upload = self._upload, None
            with suppress(BlueStarError):  # a lifecycle rule of the bucket removes what is left
                self._calls("abort_multipart_upload", self._path, Key=self._key, UploadId=upload)


def _checksum(content: bytes | bytearray) -> dict[str, str]:
    """The header by which S3 refuses anything else. As a header, not a trailer: other servers know it, too."""
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": b64encode(hashlib.sha256(content).digest()).decode()}
