"""Files in an S3 bucket, or in what speaks its protocol."""

from __future__ import annotations

import io
import uuid
from typing import Any, BinaryIO, cast

from bluestar_store.errors import AlreadyExistsError, ConfigurationError, FileMissingError, FileStoreError
from bluestar_store.files.paths import InvalidPathError, checked_path, checked_prefix
from bluestar_store.files.protocol import FileInfo
from bluestar_store.files.s3_calls import FAILURES, S3Calls
from bluestar_store.files.s3_streams import S3Reader, S3Writer
from bluestar_store.files.streams import BINARY, FileWriter, StreamedFiles

MAX_LINK_SECONDS = 7 * 24 * 3600
"""An AWS limit."""
MAX_COPY_BYTES = 5 * 1024**3
"""An AWS limit: what is larger is copied in parts."""
COPY_PART_BYTES = 512 * 1024**2
MAX_KEY_BYTES = 1024
"""An AWS limit."""


class S3FileStore(StreamedFiles):
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
        if endpoint_url is not None and "@" in endpoint_url:
            raise ConfigurationError("the endpoint has a user or password; credentials come from the environment")
        self.bucket = bucket
        self.prefix = f"{checked_path(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._calls = S3Calls(bucket, region, endpoint_url, connect_timeout_seconds, read_timeout_seconds, max_attempts)

    @property
    def location(self) -> str:
        """See `FileStore`."""
        return f"{self._calls.location}, files {self.prefix}*" if self.prefix else self._calls.location

    def _reader(self, path: str) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(S3Reader(self._calls, path, self._key(path)), 1024 * 1024))

    def _writer(self, path: str, content_type: str, if_absent: bool) -> FileWriter:
        key = self._key(path)
        if if_absent and self.exists(path):  # sooner than at the end of a long upload
            raise AlreadyExistsError(f"{path} is there already ({self.location})")
        return S3Writer(self._calls, path, key, content_type, if_absent, uuid.uuid4().hex)

    def _check_there(self, path: str) -> None:
        self._head(path)

    def _head(self, path: str) -> dict[str, Any]:
        return self._calls("head_object", path, Key=self._key(path), ChecksumMode="ENABLED")

    def move(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        source = self._copied(src, dst)
        if src != dst:
            try:
                self._calls("delete_object", src, Key=self._key(src), IfMatch=source["ETag"])
            except (AlreadyExistsError, FileMissingError):
                if self.exists(src):  # else it was a repeated call whose first reply was lost
                    raise FileStoreError(f"{src} changed while it was moved to {dst}: both are left") from None

    def copy(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        self._copied(src, dst)

    def _copied(self, src: str, dst: str) -> dict[str, Any]:
        """Copy, and see that the copy is whole; returns what is known of the source."""
        target = self._key(dst)
        found = self._head(src)
        if src == dst:
            return found
        source = {"CopySource": {"Bucket": self.bucket, "Key": self._key(src)}, "CopySourceIfMatch": found["ETag"]}
        try:
            if found["ContentLength"] <= MAX_COPY_BYTES:
                self._calls("copy_object", src, Key=target, **source)
            else:
                self._copy_in_parts(src, target, found, source)
        except AlreadyExistsError:
            raise FileStoreError(f"{src} changed while it was copied") from None
        if not _alike(self._head(dst), found):
            raise FileStoreError(f"{dst} is not as {src}, after it was copied: {src} is left as it was")
        return found

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

    def list_files(self, prefix: str = "") -> list[str]:
        """See `FileStore`."""
        checked_prefix(prefix)
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = self._calls("list_objects_v2", prefix, Prefix=self.prefix + prefix, **more)
            found += (item["Key"].removeprefix(self.prefix) for item in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return sorted(filter(_is_ours, found))
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, path: str) -> None:
        """See `FileStore`."""
        self._calls("delete_object", path, Key=self._key(path))

    def stat(self, path: str) -> FileInfo:
        """See `FileStore`."""
        found = self._head(path)
        etag = str(found["ETag"]).strip('"')
        return FileInfo(path, found["ContentLength"], found["LastModified"], found.get("ContentType"), etag)

    def link(self, path: str, expires_seconds: int = 3600) -> str:
        """See `FileStore`."""
        if not 1 <= expires_seconds <= MAX_LINK_SECONDS:
            raise FileStoreError(f"a link expires after 1 to {MAX_LINK_SECONDS} seconds, not {expires_seconds}")
        self._head(path)
        what = {"Bucket": self.bucket, "Key": self._key(path)}
        try:
            return str(self._calls.client.generate_presigned_url("get_object", what, ExpiresIn=expires_seconds))
        except FAILURES as error:
            raise self._calls.translated(error, path) from error

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        self._calls.close()

    def _key(self, path: str) -> str:
        key = self.prefix + checked_path(path)
        if len(key.encode()) > MAX_KEY_BYTES:
            raise InvalidPathError(f"{path[:200]!r} is no path in this store: its key is over {MAX_KEY_BYTES} bytes")
        return key

    def __repr__(self) -> str:
        return f"S3FileStore({self.location})"


def _alike(*found: dict[str, Any]) -> bool:
    """Whether two files have one size, and one SHA-256 where S3 knows that of the whole of both.

    Of a file that was sent in parts it knows the parts' alone, and says so by a `-` and their number.
    """
    sizes = {one["ContentLength"] for one in found}
    sums = {str(one.get("ChecksumSHA256", "-")) for one in found}
    return len(sizes) == 1 and (len(sums) == 1 or any("-" in each for each in sums))


def _is_ours(path: str) -> bool:
    """Whether the path could be read by us: other programs' folder marks (`a/`) and the like are no files."""
    try:
        checked_path(path)
    except InvalidPathError:
        return False
    return True
