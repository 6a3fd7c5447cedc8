"""Files in this process's memory, for tests."""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from bluestar_store.errors import AlreadyExistsError, FileMissingError, FileStoreError
from bluestar_store.files.paths import check_new_path, checked_path, checked_prefix
from bluestar_store.files.protocol import FileInfo
from bluestar_store.files.streams import FileWriter, StreamedFiles
from bluestar_store.forking import remember
from bluestar_store.redaction.tracebacks import without_locals


@dataclass(frozen=True)
class _File:
    content: bytes
    content_type: str
    modified: datetime


@without_locals
class MemoryFileStore(StreamedFiles):
    """Starts empty, and is forgotten with the object."""

    location = "files in this process's memory"

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child, which has a copy of the files: a lock that no thread of its parent's holds."""
        self._lock = threading.Lock()

    def _reader(self, path: str) -> BinaryIO:
        return io.BytesIO(self._found(path).content)

    def _writer(self, path: str, content_type: str, if_absent: bool) -> FileWriter:
        writer = _MemoryWriter(self, checked_path(path), content_type, if_absent)
        if if_absent and path in self._files:
            raise AlreadyExistsError(f"{path} is there already")
        return writer

    def _put(self, path: str, content: bytes, content_type: str, if_absent: bool) -> None:
        with self._lock:
            if if_absent and path in self._files:
                raise AlreadyExistsError(f"{path} is there already")
            self._files[path] = _File(content, content_type, datetime.now(UTC))

    def _check_there(self, path: str) -> None:
        self._found(path)

    def _found(self, path: str) -> _File:
        found = self._files.get(checked_path(path))
        if found is None:
            raise FileMissingError(f"{path} is not there ({self.location})")
        return found

    def move(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        checked_path(dst)
        check_new_path(dst)
        with self._lock:
            found = self._found(src)
            del self._files[src]
            self._files[dst] = found

    def copy(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        checked_path(dst)
        check_new_path(dst)
        with self._lock:
            self._files[dst] = self._found(src)

    def list_files(self, prefix: str = "") -> list[str]:
        """See `FileStore`."""
        checked_prefix(prefix)
        with self._lock:
            return sorted(path for path in self._files if path.startswith(prefix))

    def delete(self, path: str) -> None:
        """See `FileStore`."""
        with self._lock:
            self._files.pop(checked_path(path), None)

    def stat(self, path: str) -> FileInfo:
        """See `FileStore`."""
        found = self._found(path)
        etag = hashlib.sha256(found.content).hexdigest()
        return FileInfo(path, len(found.content), found.modified, found.content_type, etag)

    def link(self, path: str, expires_seconds: int = 3600) -> str:
        """See `FileStore`."""
        self._found(path)
        raise FileStoreError(f"{self.location}: there are no links to them")

    def close(self) -> None:
        """Nothing to let go of."""

    def __repr__(self) -> str:
        return f"MemoryFileStore({len(self._files)} files)"


class _MemoryWriter(FileWriter):
    def __init__(self, store: MemoryFileStore, path: str, content_type: str, if_absent: bool) -> None:
        super().__init__()
        self._store, self._path, self._content_type, self._if_absent = store, path, content_type, if_absent
        self._content = bytearray()

    def _take(self, data: memoryview) -> None:
        self._content += data

    def _commit(self) -> None:
        self._store._put(self._path, bytes(self._content), self._content_type, self._if_absent)  # noqa: SLF001  # its own writer

    def _drop(self) -> None:
        self._content.clear()
