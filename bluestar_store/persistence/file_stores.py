"""The file stores of `bluestar_store.files` under the names that old agents use."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bluestar_store.files.memory import MemoryFileStore
from bluestar_store.files.s3 import S3FileStore
from bluestar_store.files.streams import BINARY

__all__ = ["IFileStore", "MemoryFileStore", "S3FileStore"]


@runtime_checkable
class IFileStore(Protocol):
    """Files by path: relative, names separated by `/`. Every store of `bluestar_store.files` is one, and does more.

    The stores here raise InvalidPathError for a path that leads out of them, FileMissingError for a file that is not
    there, ConfigurationError for a bucket that is not there, and FileStoreError for whatever else fails.
    """

    def read(self, path: str) -> bytes:
        """The file's content. Raises FileMissingError."""

    def write(self, path: str, data: bytes | str, content_type: str = BINARY) -> str:
        """Write the file, whole or not at all, over what is there; text as UTF-8. Returns the path."""

    def move(self, src: str, dst: str) -> None:
        """Give the file another path, over what is there. Raises FileMissingError; then `dst` stays as it was."""

    def list_files(self, prefix: str) -> list[str]:
        """The paths that begin with the text `prefix`, in order of their code points; [] for none."""
