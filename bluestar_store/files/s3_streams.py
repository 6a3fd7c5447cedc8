"""Streams from and to S3."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from contextlib import suppress
from typing import Any

from bluestar_store.errors import BlueStarError
from bluestar_store.files.remote_streams import RemoteReader, RemoteWriter
from bluestar_store.files.s3_calls import FAILURES, S3Calls

TOKEN = "bluestar-write"  # noqa: S105 the name of a mark, no secret


class S3Reader(RemoteReader):
    """By GetObject: one, and one more where the connection broke, or the reader was moved."""

    def __init__(self, calls: S3Calls, path: str, key: str) -> None:
        self._calls, self._key = calls, key
        super().__init__(path, calls.location, FAILURES)

    def _first(self) -> tuple[Any, int, str]:
        answer = self._calls("get_object", self._path, Key=self._key)
        return answer["Body"], int(answer["ContentLength"]), str(answer["ETag"])

    def _rest(self, at: int) -> Any:
        return self._calls("get_object", self._path, Key=self._key, Range=f"bytes={at}-", IfMatch=self._etag)["Body"]

    def _translated(self, error: Exception) -> BlueStarError:
        return self._calls.translated(error, self._path)


class S3Writer(RemoteWriter):
    """PutObject, or a multipart upload. S3 verifies the SHA-256 of each call's content."""

    def __init__(self, calls: S3Calls, path: str, key: str, content_type: str, if_absent: bool, token: str) -> None:
        super().__init__()
        self._calls, self._path, self._key, self._token = calls, path, key, token
        self._about = {"Key": key, "ContentType": content_type, "Metadata": {TOKEN: token}}
        self._condition = {"IfNoneMatch": "*"} if if_absent else {}
        self._upload: dict[str, str] = {}
        self._sent: list[dict[str, Any]] = []

    def _send(self, content: bytes) -> None:
        if not self._upload:
            answer = self._calls("create_multipart_upload", self._path, **self._about, ChecksumAlgorithm="SHA256")
            self._upload = {"Key": self._key, "UploadId": str(answer["UploadId"])}
        sums, number = _checksum(content), self._parts
        answer = self._calls("upload_part", self._path, **self._upload, PartNumber=number, Body=content, **sums)
        self._sent.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": sums["ChecksumSHA256"]})

    def _finish(self) -> None:
        parts = {"Parts": self._sent}
        self._calls("complete_multipart_upload", self._path, **self._upload, MultipartUpload=parts, **self._condition)

    def _put(self, content: bytes) -> None:
        self._calls("put_object", self._path, Body=content, **self._about, **_checksum(content), **self._condition)

    def _is_ours(self) -> bool:
        found = self._calls("head_object", self._path, Key=self._key)
        return bool(found.get("Metadata", {}).get(TOKEN) == self._token)

    def _commit(self) -> None:
        super()._commit()
        self._upload = {}  # no more to be aborted

    def _drop(self) -> None:
        super()._drop()
        upload, self._upload = self._upload, {}
        if upload:
            with suppress(BlueStarError):  # a lifecycle rule of the bucket removes what is left
                self._calls("abort_multipart_upload", self._path, **upload)


def _checksum(content: bytes) -> dict[str, str]:
    """The header by which S3 refuses anything else. As a header, not a trailer: other servers know it, too."""
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": b64encode(hashlib.sha256(content).digest()).decode()}
