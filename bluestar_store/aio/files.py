"""The files of an AsyncStore: the same file stores, awaited."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import BinaryIO, Generic, Literal, Self, TypeVar, overload

from bluestar_store.aio.calls import AsyncCalls
from bluestar_store.files import FileStore, FileWriter
from bluestar_store.files.streams import BINARY
from bluestar_store.redaction.tracebacks import without_locals

S = TypeVar("S", bound=BinaryIO | FileWriter)
R = TypeVar("R")


@without_locals
class AsyncStream(Generic[S]):
    """A file that is opened when its `async with` block begins, and closed at its end. One object for one block."""

    def __init__(self, calls: AsyncCalls, opening: Callable[[], S]) -> None:
        self._calls, self._opening = calls, opening
        self._lock = threading.Lock()
        self._file: S | None = None

    async def __aenter__(self) -> Self:
        self._file = await self._calls.run(self._opening)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._with_file(lambda file: file.__exit__(kind, error, traceback))

    async def _with_file(self, use: Callable[[S], R]) -> R:
        if self._file is None:
            raise ValueError("the file is open within its async with block only")
        return await self._calls.run(partial(self._alone, use, self._file))

    def _alone(self, use: Callable[[S], R], file: S) -> R:
        with self._lock:  # a call that was cancelled may still be at it
            return use(file)


@without_locals
class AsyncFileReader(AsyncStream[BinaryIO]):
    """A file that is read."""

    async def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end of the file, b"" after it; -1: all that is left."""
        return await self._with_file(lambda file: file.read(size))

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on reading elsewhere; returns where, in bytes from the beginning."""
        return await self._with_file(lambda file: file.seek(offset, whence))


@without_locals
class AsyncFileWriter(AsyncStream[FileWriter]):
    """A file that is written. It is the store's when the block ended well; else nothing changes."""

    async def write(self, data: bytes) -> int:
        """Write all of the data; returns its length in bytes."""
        return await self._with_file(lambda file: file.write(data))


class AsyncFiles:
    """See `FileStore`."""

    def __init__(self, calls: AsyncCalls, files: FileStore) -> None:
        self._calls, self._files = calls, files
        self.location = files.location
        self.read = calls.awaited(files.read)
        self.write = calls.awaited(files.write)
        self.move = calls.awaited(files.move)
        self.copy = calls.awaited(files.copy)
        self.list_files = calls.awaited(files.list_files)
        self.exists = calls.awaited(files.exists)
        self.delete = calls.awaited(files.delete)
        self.stat = calls.awaited(files.stat)
        self.link = calls.awaited(files.link)

    @overload
    def open(self, path: str, mode: Literal["rb"] = "rb") -> AsyncFileReader: ...
    @overload
    def open(
        self, path: str, mode: Literal["wb"], content_type: str = BINARY, *, if_absent: bool = False
    ) -> AsyncFileWriter: ...
    def open(
        self, path: str, mode: Literal["rb", "wb"] = "rb", content_type: str = BINARY, *, if_absent: bool = False
    ) -> AsyncFileReader | AsyncFileWriter:
        """The file as a stream, for an `async with` block; errors are raised when the block begins or ends."""
        if mode == "rb":
            return AsyncFileReader(self._calls, lambda: self._files.open(path, "rb"))
        return AsyncFileWriter(self._calls, lambda: self._files.open(path, "wb", content_type, if_absent=if_absent))
