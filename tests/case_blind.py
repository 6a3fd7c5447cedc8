"""A file system that ignores case and keeps it, as macOS's does: the calls of `os` that take a name."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import pytest

ONE_NAME = ("stat", "lstat", "open", "mkdir", "unlink", "rmdir")
TWO_NAMES = ("rename", "replace", "link")


def ignore_case(patch: pytest.MonkeyPatch) -> None:
    """From now on, a name that is there in another case is taken for that one."""
    listdir = os.listdir

    def there(path: Any, dir_fd: int | None) -> Any:
        if not isinstance(path, (str, os.PathLike)):
            return path
        folder, name = os.path.split(os.fspath(path))
        with suppress(OSError):
            names = listdir(folder or "." if dir_fd is None or os.path.isabs(folder) else dir_fd)
            if name not in names:
                name = next((each for each in names if each.casefold() == name.casefold()), name)
        return os.path.join(folder, name)

    def blind(call: Callable[..., Any], count: int) -> Callable[..., Any]:
        @wraps(call)
        def called(*arguments: Any, **named: Any) -> Any:
            folders = [named.get("dir_fd")] if count == 1 else [named.get("src_dir_fd"), named.get("dst_dir_fd")]
            paths = [there(path, folder) for path, folder in zip(arguments[:count], folders, strict=True)]
            return call(*paths, *arguments[count:], **named)

        return called

    for names, count in ((ONE_NAME, 1), (TWO_NAMES, 2)):
        for name in names:
            patch.setattr(os, name, blind(getattr(os, name), count))
