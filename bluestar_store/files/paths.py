"""Checks the names of files: the same names are valid in every store, and none leads out of it."""

from __future__ import annotations

import unicodedata

from bluestar_store.errors import FileStoreError, InvalidKeyError
from bluestar_store.keys import unseen

MAX_PATH_BYTES = 900
"""In UTF-8. S3 takes 1024; the rest is for the store's own prefix."""
MAX_NAME_BYTES = 200
"""Of one name between slashes. File systems take 255; the rest is for the name that a write has until it is whole."""
TEMPORARY = ".bluestar-tmp"
"""What the names of files end in that are still being written."""


class InvalidPathError(FileStoreError, InvalidKeyError):
    """A path that leads out of the store, or that not every store could keep. Raised before anything is sent."""


def checked_path(path: str) -> str:
    """The path, which is relative, with `/` between its names. Raises InvalidPathError."""
    if not isinstance(path, str):
        raise InvalidPathError(f"a path in a file store is text, not {type(path).__name__}")
    _check(path, path.split("/"))
    return path


def check_new_path(path: str) -> None:
    """InvalidPathError for characters that nobody sees; what lies under such a path can be read, moved and deleted."""
    if (reason := unseen(checked_path(path))) is not None:
        raise InvalidPathError(f"{path[:200]!r} is no path in a file store: it {reason}")


def checked_prefix(prefix: str) -> str:
    """What the paths of a list begin with: empty, or a path whose last name may be cut short. InvalidPathError."""
    names = prefix.split("/")
    if names[-1] in ("", "."):  # "." may go on as ".hidden"
        names.pop()
    if names:
        _check(prefix, names)
    return prefix


def _check(path: str, names: list[str]) -> None:
    reason = _fault(path, names)
    if reason:
        raise InvalidPathError(f"{path[:200]!r} is no path in a file store: {reason}")


def _fault(path: str, names: list[str]) -> str:
    """What is wrong with the path; empty when nothing is."""
    if not path:
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute; paths are relative to the store"
    if "\\" in path:
        return "it has a backslash; names are separated by /"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        return "it has a NUL, another control character or half a character"
    if "" in names:
        return "it has an empty name (// or a / at its end)"
    if "." in names or ".." in names:
        return "it has . or .. as a name"
    if any(name.endswith(TEMPORARY) for name in names):
        return f"names that end in {TEMPORARY} are the store's own"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        return f"a name in it is longer than {MAX_NAME_BYTES} bytes"
    return ""
