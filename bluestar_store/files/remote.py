"""The common part of remote file stores: keys under a prefix, and moves as a copy and a delete."""

from __future__ import annotations

import io
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from bluestar_store.errors import AlreadyExistsError, ConfigurationError, FileMissingError, FileStoreError
from bluestar_store.files.paths import InvalidPathError, check_new_path, checked_path, checked_prefix
from bluestar_store.files.remote_streams import RemoteReader, RemoteWriter
from bluestar_store.files.streams import FileWriter, StreamedFiles
from bluestar_store.redaction.tracebacks import without_locals

MAX_LINK_SECONDS = 7 * 24 * 3600
"""A limit of AWS and of Azure."""
MAX_KEY_BYTES = 1024
"""An AWS limit. Azure's is 1024 characters."""


@without_locals
class RemoteFiles(StreamedFiles):
    """The files whose keys begin with `prefix/`."""

    def __init__(
        self,
        service: str,
        prefix: str,
        endpoint_url: str | None,
        *,
        reading: Callable[[str, str], RemoteReader],
        writing: Callable[[str, str, str, bool, str], RemoteWriter],
    ) -> None:
        """`reading` opens a path by its key; `writing` is also given a content type, if_absent and a mark."""
        if endpoint_url is not None and "@" in endpoint_url:
            raise ConfigurationError("the endpoint has a user or password; credentials come from the environment")
        self.prefix = f"{checked_path(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._service, self._reading, self._writing = service, reading, writing

    @property
    def location(self) -> str:
        """See `FileStore`."""
        return f"{self._service}, files {self.prefix}*" if self.prefix else self._service

    @abstractmethod
    def _copied(self, src: str, dst: str) -> str:
        """Copy, see that the copy is whole, and return the etag of the source; onto itself, return it alone."""

    @abstractmethod
    def _delete_unchanged(self, path: str, etag: str) -> None:
        """Delete the file if it has this etag; else AlreadyExistsError, or FileMissingError."""

    @abstractmethod
    def _keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with the prefix."""

    @abstractmethod
    def _link(self, key: str, expires_seconds: int) -> str:
        """A signed URL. FileStoreError when there is nothing to sign it with."""

    def _reader(self, path: str) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(self._reading(path, self._key(path)), 1024 * 1024))

    def _writer(self, path: str, content_type: str, if_absent: bool) -> FileWriter:
        key = self._key(path)
        if if_absent and self.exists(path):  # sooner than at the end of a long upload
            raise AlreadyExistsError(f"{path} is there already ({self.location})")
        return self._writing(path, key, content_type, if_absent, uuid.uuid4().hex)

    def move(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        check_new_path(dst)
        etag = self._copied(src, dst)
        if src != dst:
            try:
                self._delete_unchanged(src, etag)
            except (AlreadyExistsError, FileMissingError):
                if self.exists(src):  # else it was a repeated call whose first reply was lost
                    raise FileStoreError(f"{src} changed while it was moved to {dst}: both are left") from None

    def copy(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        check_new_path(dst)
        self._copied(src, dst)

    def list_files(self, prefix: str = "") -> list[str]:
        """See `FileStore`."""
        checked_prefix(prefix)
        paths = (key.removeprefix(self.prefix) for key in self._keys(self.prefix + prefix))
        return sorted(filter(_is_ours, paths))

    def link(self, path: str, expires_seconds: int = 3600) -> str:
        """See `FileStore`."""
        if not 1 <= expires_seconds <= MAX_LINK_SECONDS:
            raise FileStoreError(f"a link expires after 1 to {MAX_LINK_SECONDS} seconds, not {expires_seconds}")
        self._check_there(path)
        return self._link(self._key(path), expires_seconds)

    def _key(self, path: str) -> str:
        key = self.prefix + checked_path(path)
        if len(key.encode()) > MAX_KEY_BYTES:
            raise InvalidPathError(f"{path[:200]!r} is no path in this store: its key is over {MAX_KEY_BYTES} bytes")
        return key

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location})"


def _is_ours(path: str) -> bool:
    """Whether the path could be read by us: other programs' folder marks (`a/`) and the like are no files."""
    try:
        checked_path(path)
    except InvalidPathError:
        return False
    return True
