"""The common part of file stores' streams."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal, Self, overload

from bluestar_store.errors import FileMissingError, FileStoreError
from bluestar_store.files.paths import check_new_path
from bluestar_store.forking import remember
from bluestar_store.redaction.tracebacks import without_locals

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BINARY = "application/octet-stream"
"""The content type of a file that was given none."""


@without_locals
class FileWriter(io.RawIOBase):
    """A file that is being written. `close` makes it the store's; `discard`, or an error in the block, drops it.

    So does forgetting it: what nobody closed is not whole. Within its own `with` block the end of the block decides: a
    text stream around it closes it before anybody knows whether the block ends well. A forked child neither writes on
    nor ends it: the file is its parent's.
    """

    _broken = _in_block = _is_parents = False

    def __init__(self) -> None:
        super().__init__()
        remember(self)

    def forked(self) -> None:
        """In a forked child: leave what was written to the parent."""
        self._is_parents = True

    @abstractmethod
    def _take(self, data: memoryview) -> None:
        """Write on."""

    @abstractmethod
    def _commit(self) -> None:
        """Make what was written the file, whole."""

    @abstractmethod
    def _drop(self) -> None:
        """Forget what was written."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the data; returns its length in bytes."""
        if self.closed:
            raise ValueError("write to a closed file")
        self._check_process()
        view = memoryview(data).cast("B")
        try:
            self._take(view)
        except BaseException:
            self._broken = True
            raise
        return view.nbytes

    def close(self) -> None:
        """Make it the store's file. Raises AlreadyExistsError, FileStoreError; then it is dropped."""
        if self.closed or self._in_block:
            return
        if self._is_parents:
            super().close()
            self._check_process()
        if self._broken:
            self.discard()
            raise FileStoreError("an earlier part of the file could not be written: nothing of it was kept")
        try:
            self._commit()
        except BaseException:
            self.discard()
            raise
        super().close()

    def discard(self) -> None:
        """Drop what was written; the store stays as it was."""
        if not self.closed:
            super().close()
            if not self._is_parents:
                self._drop()

    def _check_process(self) -> None:
        if self._is_parents:
            raise FileStoreError("this file was opened by the process that this one was forked from, which ends it")

    def __enter__(self) -> Self:
        super().__enter__()
        self._in_block = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._in_block = False
        if kind is None:
            self.close()
        else:
            with suppress(FileStoreError):  # the block's own error says more
                self.discard()

    def __del__(self) -> None:
        with suppress(Exception):  # also of one that was never made
            self.discard()


@without_locals
class StreamedFiles(ABC):
    """What every store does by its streams."""

    @overload
    def open(self, path: str, mode: Literal["rb"] = "rb") -> BinaryIO: ...
    @overload
    def open(
        self, path: str, mode: Literal["wb"], content_type: str = BINARY, *, if_absent: bool = False
    ) -> FileWriter: ...
    def open(
        self, path: str, mode: Literal["rb", "wb"] = "rb", content_type: str = BINARY, *, if_absent: bool = False
    ) -> BinaryIO | FileWriter:
        """See `FileStore`."""
        if mode == "rb":
            return self._reader(path)
        if mode == "wb":
            check_new_path(path)
            return self._writer(path, content_type, if_absent)
        raise ValueError(f'mode {mode!r}: a file is read ("rb") or written anew ("wb")')

    @abstractmethod
    def _reader(self, path: str) -> BinaryIO:
        """A stream of a file."""

    @abstractmethod
    def _writer(self, path: str, content_type: str, if_absent: bool) -> FileWriter:
        """A file that is being written."""

    @abstractmethod
    def _check_there(self, path: str) -> None:
        """FileMissingError when the file is not there."""

    def read(self, path: str) -> bytes:
        """See `FileStore`."""
        with self._reader(path) as file:
            return file.read()

    def write(self, path: str, data: bytes | str, content_type: str = BINARY, *, if_absent: bool = False) -> str:
        """See `FileStore`."""
        check_new_path(path)
        try:
            content = memoryview(data.encode() if isinstance(data, str) else data)
        except (TypeError, UnicodeEncodeError):
            raise FileStoreError(f"{path}: what is written is bytes or text that is valid Unicode") from None
        with self._writer(path, content_type, if_absent) as file:
            file.write(content)
        return path

    def exists(self, path: str) -> bool:
        """See `FileStore`."""
        try:
            self._check_there(path)
        except FileMissingError:
            return False
        return True
