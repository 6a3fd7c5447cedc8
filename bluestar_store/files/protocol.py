"""The protocol of file stores. `bluestar_store.testing.FilesSuite` tests an implementation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal, Protocol, overload, runtime_checkable

from bluestar_store.files.streams import BINARY, FileWriter


@dataclass(frozen=True)
class FileInfo:
    """What is known of a file without reading it. `modified` is in UTC."""

    path: str
    size_bytes: int
    modified: datetime
    content_type: str | None
    """None where the store keeps none."""
    etag: str
    """Another one after every change of the content."""


@runtime_checkable
class FileStore(Protocol):
    """Files by path: relative, names separated by `/`. Safe to share between threads.

    A path that leads out of the store (`..`, absolute, NUL, empty names, a symbolic link) is an InvalidPathError
    everywhere. Any other failure is a FileStoreError, or a ConfigurationError where a setting has to be mended.
    A reader sees a file as it was or as it is, never half of it.
    """

    @property
    def location(self) -> str:
        """Where the files are, for people; no credentials."""

    def read(self, path: str) -> bytes:
        """The file's content. FileMissingError when it is not there."""

    def write(self, path: str, data: bytes | str, content_type: str = BINARY, *, if_absent: bool = False) -> str:
        """Write the file, whole or not at all, over what is there; text as UTF-8. Returns the path.

        With `if_absent`, AlreadyExistsError when it is there, which then stays as it was; of several such writers at
        once one succeeds.
        """

    @overload
    def open(self, path: str, mode: Literal["rb"] = "rb") -> BinaryIO: ...
    @overload
    def open(
        self, path: str, mode: Literal["wb"], content_type: str = BINARY, *, if_absent: bool = False
    ) -> FileWriter: ...
    def open(
        self, path: str, mode: Literal["rb", "wb"] = "rb", content_type: str = BINARY, *, if_absent: bool = False
    ) -> BinaryIO | FileWriter:
        """The file as a stream, whatever its size, in little memory.

        A reader can seek, and goes on reading the file it was opened on, or fails. A writer's file is there when it
        was closed, or when its `with` block ended well; else nothing changes. FileMissingError and
        AlreadyExistsError as in `read` and `write`; the latter at the end at the latest. ValueError for another mode.
        """

    def move(self, src: str, dst: str) -> None:
        """Give the file another path, over what is there; onto itself it does nothing.

        FileMissingError when `src` is not there; then `dst` stays as it was. Broken off at any moment, the file is
        at `src` or at `dst`, whole, or at both.
        """

    def copy(self, src: str, dst: str) -> None:
        """As `move`, and `src` stays."""

    def list_files(self, prefix: str = "") -> list[str]:
        """The paths that begin with the text `prefix`, at any depth, in order of their code points; [] for none."""

    def exists(self, path: str) -> bool:
        """Whether the file is there."""

    def delete(self, path: str) -> None:
        """Remove the file; no error when it is not there."""

    def stat(self, path: str) -> FileInfo:
        """What is known of the file. FileMissingError when it is not there."""

    def link(self, path: str, expires_seconds: int = 3600) -> str:
        """A URL by which anybody can read the file for a time, 7 days at most.

        FileMissingError when it is not there; FileStoreError where the store cannot make links.
        """

    def close(self) -> None:
        """Let go of connections; may be called twice."""
