"""Values that nobody else is to see: from a file, from standard input or typed without echo, never from a command line.

Every user of the machine can read the command lines of all, and shells keep them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from bluestar_store.cli.asking import is_terminal
from bluestar_store.cli.errors import BadUsage, escaped

if TYPE_CHECKING:
    from bluestar_store.mapping.mapper import Mapper

MAX_BYTES = 4096
"""Of one value."""


def with_secrets(mapper: Mapper[Any], texts: Iterable[str]) -> Iterator[str]:
    """The texts KEY=VALUE, with the values of sensitive fields: of `KEY=@FILE`, `KEY=@-` and of `KEY` alone.

    Raises BadUsage for a value of a sensitive field that stands there itself; it is not repeated.
    """
    from bluestar_store.redaction.masking import sensitive_fields

    sensitive = sensitive_fields(mapper.entity)  # type: ignore[arg-type]  # a class, which can be hashed
    for text in texts:
        name, separator, value = text.partition("=")
        if name not in sensitive or value == "null":
            yield text
        elif not separator:
            yield f"{name}={_typed(name)}"
        elif value.startswith("@"):
            yield f"{name}={_read(name, value[1:])}"
        else:
            raise BadUsage(
                f"{name} is not taken from a command line, which others can read: {name}=@FILE, {name}=@- for "
                f"standard input, or {name} alone to be asked for it"
            )


def _typed(name: str) -> str:
    if not is_terminal():
        raise BadUsage(f"there is no terminal to ask for {name} at: give {name}=@FILE, or {name}=@- for standard input")
    from getpass import getpass

    return _checked(name, getpass(f"{name}: "))


def _read(name: str, path: str) -> str:
    """The first line of a file, or of standard input."""
    try:
        if path == "-":
            data = sys.stdin.buffer.readline(MAX_BYTES + 1)
        else:
            with _opened(path) as file:
                data = file.readline(MAX_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise BadUsage(f"{name}: {escaped(path)} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BadUsage(f"{name}: what was read for it is no text") from None
    return _checked(name, text.rstrip(os.linesep).rstrip("\n"))


def _opened(path: str) -> BinaryIO:
    """The file; of a pipe the end of whoever writes into it, as of `@<(command)`: where nobody does, it is empty."""
    from bluestar_store.disk import AS_BYTES, NO_WAIT

    descriptor = os.open(path, os.O_RDONLY | AS_BYTES | NO_WAIT)
    if sys.platform != "win32":
        os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")


def _checked(name: str, text: str) -> str:
    from bluestar_store.keys import unseen

    if not text or len(text.encode()) > MAX_BYTES or text == "null" or unseen(text) is not None:
        raise BadUsage(f"{name}: what was read for it is empty, or no value")
    return text
