"""Files in a container of Azure Blob Storage. Needs the extra `azure`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from azure.core import MatchConditions
from azure.storage.blob import BlobProperties

from bluestar_store.errors import AlreadyExistsError, FileMissingError, FileStoreError
from bluestar_store.files.azure_calls import AzureCalls, is_folder
from bluestar_store.files.azure_streams import AzureReader, AzureWriter
from bluestar_store.files.protocol import FileInfo
from bluestar_store.files.remote import RemoteFiles
from bluestar_store.redaction.tracebacks import without_locals

COPY_POLL_SECONDS = 0.5
"""Within an account a copy is done when its call returns, as a rule."""
COPY_SECONDS = 3600


@without_locals
class AzureFileStore(RemoteFiles):
    """The files whose keys begin with `prefix/`.

    The account and its credentials are those of AZURE_STORAGE_CONNECTION_STRING. Else the account is that of
    `endpoint_url` or AZURE_STORAGE_ACCOUNT, and the credentials are what azure-identity finds.
    """

    def __init__(
        self,
        container: str,
        endpoint_url: str | None = None,
        *,
        prefix: str = "",
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 60,
        max_attempts: int = 4,
    ) -> None:
        self._calls = AzureCalls(container, endpoint_url, connect_timeout_seconds, read_timeout_seconds, max_attempts)
        super().__init__(
            self._calls.location,
            prefix,
            endpoint_url,
            reading=partial(AzureReader, self._calls),
            writing=partial(AzureWriter, self._calls),
        )

    def _check_there(self, path: str) -> None:
        self._found(path)

    def _found(self, path: str) -> BlobProperties:
        found: BlobProperties = self._calls("get_blob_properties", path, self._key(path))
        if is_folder(found.metadata):
            raise FileMissingError(f"{path} is a folder ({self.location})")
        return found

    def _copied(self, src: str, dst: str) -> str:
        target = self._key(dst)
        found = self._found(src)
        if src == dst:
            return str(found.etag)
        source: dict[str, Any] = {
            "source_url": self._calls.client.get_blob_client(self._key(src)).url,
            "source_etag": found.etag,
            "source_match_condition": MatchConditions.IfNotModified,
        }
        try:
            self._calls("start_copy_from_url", src, target, **source)
        except AlreadyExistsError:
            raise FileStoreError(f"{src} changed while it was copied") from None
        copied = self._copy_done(dst)
        if copied.copy.status != "success" or not _alike(copied, found):
            raise FileStoreError(f"{dst} is not as {src}, after it was copied: {src} is left as it was")
        return str(found.etag)

    def _copy_done(self, dst: str) -> BlobProperties:
        """What is known of the target when Azure no longer copies."""
        deadline = time.monotonic() + COPY_SECONDS
        while (found := self._found(dst)).copy.status == "pending" and time.monotonic() < deadline:
            time.sleep(COPY_POLL_SECONDS)  # Azure tells nobody when it has copied: it has to be asked
        return found

    def _delete_unchanged(self, path: str, etag: str) -> None:
        unchanged = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        self._calls("delete_blob", path, self._key(path), **unchanged)

    def _keys(self, prefix: str) -> Iterator[str]:
        return self._calls.keys(prefix)

    def delete(self, path: str) -> None:
        """See `FileStore`."""
        try:
            self._calls("delete_blob", path, self._key(path))
        except FileMissingError:
            return

    def stat(self, path: str) -> FileInfo:
        """See `FileStore`."""
        found = self._found(path)
        etag = str(found.etag).strip('"')
        return FileInfo(path, found.size, found.last_modified, found.content_settings.content_type, etag)

    def _link(self, key: str, expires_seconds: int) -> str:
        return self._calls.link(key, expires_seconds)

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        self._calls.close()


def _alike(*found: BlobProperties) -> bool:
    """Whether two files have one size, and one MD5 where Azure knows that of both."""
    sums = {bytes(one.content_settings.content_md5 or b"") for one in found} - {b""}
    return len({one.size for one in found}) == 1 and len(sums) < 2
