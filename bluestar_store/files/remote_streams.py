"""Streams of remote file stores: a reader that resumes where its connection broke, a writer that uploads parts."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bluestar_store.errors import AlreadyExistsError, BlueStarError, FileMissingError, FileStoreError
from bluestar_store.files.streams import FileWriter
from bluestar_store.redaction.tracebacks import without_locals

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PART_BYTES = 8 * 1024 * 1024
"""What goes in one call. S3 takes 10,000 of them (files up to 78 GiB), Azure 50,000. A writer holds two at a time."""
CHUNK_BYTES = 1024 * 1024
READ_ATTEMPTS = 3


@without_locals
class RemoteReader(io.RawIOBase, ABC):
    """A file as it was when it was opened; when it has changed meanwhile, reading on is a FileStoreError."""

    def __init__(self, path: str, location: str, failures: tuple[type[Exception], ...]) -> None:
        super().__init__()
        self._path, self._location, self._failures = path, location, failures
        self._at = 0
        self._body: Any = None  # should the first call fail, for `close`
        self._body, self._size, self._etag = self._first()

    @abstractmethod
    def _first(self) -> tuple[Any, int, str]:
        """The content from its beginning (something with `read(count)`), its size in bytes, and its etag."""

    @abstractmethod
    def _rest(self, at: int) -> Any:
        """The content from this byte on, if the etag is still the same; else AlreadyExistsError."""

    @abstractmethod
    def _translated(self, error: Exception) -> BlueStarError:
        """Our error for one of the `failures`."""

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

    def readall(self) -> bytes:
        parts = []
        while part := self.read(CHUNK_BYTES):  # Python's own takes steps of 8 KiB
            parts.append(part)
        return b"".join(parts)

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
        raise FileStoreError(f"{self._path} ({self._location}) broke off at byte {self._at}")

    def _attempt(self, count: int, *, last: bool = True) -> bytes:
        """The next bytes; nothing when the connection broke and it is not the last try."""
        try:
            if self._body is None:
                self._body = self._rest(self._at)
            data: bytes = self._body.read(count) if count else self._body.read()
        except (AlreadyExistsError, FileMissingError):
            raise FileStoreError(f"{self._path} ({self._location}) changed while it was read") from None
        except self._failures as error:
            self._let_go()
            if last:
                raise self._translated(error) from error
            return b""
        if not data:
            self._let_go()
        return data

    def _let_go(self) -> None:
        if self._body is not None:
            with suppress(*self._failures):
                self._close_body()
            self._body = None

    def _close_body(self) -> None:
        """Let go of the body's connection."""
        self._body.close()

    def close(self) -> None:
        if not self.closed:
            self._let_go()
        super().close()


class RemoteWriter(FileWriter):
    """One call, or several when there is more than one part.

    A mark of this write goes with it: by it we know our own write when its reply was lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._parts = 0

    @abstractmethod
    def _send(self, content: bytes) -> None:
        """Send the next part; `_parts` is its number, from 1."""

    @abstractmethod
    def _finish(self) -> None:
        """Make the parts the file."""

    @abstractmethod
    def _put(self, content: bytes) -> None:
        """Make this content the file."""

    @abstractmethod
    def _is_ours(self) -> bool:
        """Whether what is there now has the mark of this write."""

    def _take(self, data: memoryview) -> None:
        while data.nbytes:
            if len(self._buffer) == PART_BYTES:  # and more to come
                self._send_part()
            room = PART_BYTES - len(self._buffer)
            self._buffer += data[:room]
            data = data[room:]

    def _send_part(self) -> None:
        self._parts += 1
        content = bytes(self._buffer)
        self._buffer.clear()
        self._send(content)

    def _commit(self) -> None:
        if self._parts:
            self._send_part()
        try:
            if self._parts:
                self._finish()
            else:
                self._put(bytes(self._buffer))
        except BlueStarError:
            if not self._seen_as_ours():
                raise
        self._buffer.clear()

    def _seen_as_ours(self) -> bool:
        try:
            return self._is_ours()
        except BlueStarError:
            return False

    def _drop(self) -> None:
        self._buffer.clear()
