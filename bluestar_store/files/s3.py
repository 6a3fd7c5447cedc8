"""Files in an S3 bucket, or in what speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from bluestar_store.errors import AlreadyExistsError, FileStoreError
from bluestar_store.files.protocol import FileInfo
from bluestar_store.files.remote import RemoteFiles
from bluestar_store.files.s3_calls import FAILURES, S3Calls
from bluestar_store.files.s3_streams import S3Reader, S3Writer
from bluestar_store.files.streams import BINARY
from bluestar_store.redaction.tracebacks import without_locals

MAX_COPY_BYTES = 5 * 1024**3
"""An AWS limit: what is larger is copied in parts."""
COPY_PART_BYTES = 512 * 1024**2


@without_locals
class S3FileStore(RemoteFiles):
    """The files whose keys begin with `prefix/`. Credentials are the AWS SDK's own."""

    def __init__(
        self,
        bucket: str,
        region: str | None = "us-east-1",
        endpoint_url: str | None = None,
        *,
        prefix: str = "",
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 60,
        max_attempts: int = 4,
    ) -> None:
        self.bucket = bucket
        self._calls = S3Calls(bucket, region, endpoint_url, connect_timeout_seconds, read_timeout_seconds, max_attempts)
        super().__init__(
            self._calls.location,
            prefix,
            endpoint_url,
            reading=partial(S3Reader, self._calls),
            writing=partial(S3Writer, self._calls),
        )

    def _check_there(self, path: str) -> None:
        self._head(path)

    def _head(self, path: str) -> dict[str, Any]:
        return self._calls("head_object", path, Key=self._key(path), ChecksumMode="ENABLED")

    def _copied(self, src: str, dst: str) -> str:
        target = self._key(dst)
        found = self._head(src)
        etag = str(found["ETag"])
        if src == dst:
            return etag
        source = {"CopySource": {"Bucket": self.bucket, "Key": self._key(src)}, "CopySourceIfMatch": etag}
        try:
            if found["ContentLength"] <= MAX_COPY_BYTES:
                # A sum of the whole anew: that of parts says nothing of a copy that was made in one.
                self._calls("copy_object", src, Key=target, ChecksumAlgorithm="SHA256", **source)
            else:
                self._copy_in_parts(src, target, found, source)
        except AlreadyExistsError:
            raise FileStoreError(f"{src} changed while it was copied") from None
        if not _alike(self._head(dst), found):
            raise FileStoreError(f"{dst} is not as {src}, after it was copied: {src} is left as it was")
        return etag

    def _copy_in_parts(self, src: str, target: str, found: dict[str, Any], source: dict[str, Any]) -> None:
        about = {"ContentType": found.get("ContentType", BINARY), "Metadata": found.get("Metadata", {})}
        upload = self._calls("create_multipart_upload", src, Key=target, **about)["UploadId"]
        where = {"Key": target, "UploadId": upload}
        try:
            parts = []
            for number, start in enumerate(range(0, found["ContentLength"], COPY_PART_BYTES), 1):
                end = min(start + COPY_PART_BYTES, found["ContentLength"]) - 1
                part = {"PartNumber": number, "CopySourceRange": f"bytes={start}-{end}"}
                answer = self._calls("upload_part_copy", src, **where, **source, **part)["CopyPartResult"]
                checksums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
                parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksums})
            self._calls("complete_multipart_upload", src, **where, MultipartUpload={"Parts": parts})
        except BaseException:
            self._calls("abort_multipart_upload", src, **where)
            raise

    def _delete_unchanged(self, path: str, etag: str) -> None:
        self._calls("delete_object", path, Key=self._key(path), IfMatch=etag)

    def _keys(self, prefix: str) -> Iterator[str]:
        more: dict[str, Any] = {}
        while True:
            page = self._calls("list_objects_v2", prefix, Prefix=prefix, **more)
            yield from (item["Key"] for item in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, path: str) -> None:
        """See `FileStore`."""
        self._calls("delete_object", path, Key=self._key(path))

    def stat(self, path: str) -> FileInfo:
        """See `FileStore`."""
        found = self._head(path)
        etag = str(found["ETag"]).strip('"')
        return FileInfo(path, found["ContentLength"], found["LastModified"], found.get("ContentType"), etag)

    def _link(self, key: str, expires_seconds: int) -> str:
        what = {"Bucket": self.bucket, "Key": key}
        try:
            return str(self._calls.client.generate_presigned_url("get_object", what, ExpiresIn=expires_seconds))
        except FAILURES as error:
            raise self._calls.translated(error, key) from error

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        self._calls.close()


def _alike(*found: dict[str, Any]) -> bool:
    """Whether two files have one size, and one SHA-256 where S3 knows that of the whole of both.

    Of a file that was sent in parts it knows the parts' alone, and says so by a `-` and their number, in the sum or the
    etag.
    """
    sizes = {one["ContentLength"] for one in found}
    sums = {str(one.get("ChecksumSHA256", "-")) for one in found}
    in_parts = any("-" in text for text in (*sums, *(str(one.get("ETag", "")) for one in found)))
    return len(sizes) == 1 and (len(sums) == 1 or in_parts)
