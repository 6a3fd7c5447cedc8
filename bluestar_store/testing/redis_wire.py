"""What a Redis client says, read from the bytes that pass by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Request: TypeAlias = tuple[bytes, ...]

CONTAINERS = {"ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "FUNCTION", "MEMORY", "OBJECT", "PUBSUB", "SCRIPT"}
"""Commands whose first argument says what they do."""


def command_name(request: Request) -> str:
    """ "GET", "SCRIPT LOAD"; "" for an empty line."""
    words = [word.decode("ascii", "replace").upper() for word in request[:2]]
    if not words:
        return ""
    return " ".join(words) if words[0] in CONTAINERS else words[0]


def encoded(request: Request) -> bytes:
    """A command as a client sends it."""
    return b"*%d\r\n" % len(request) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in request)


class RequestDecoder:
    """Commands out of pieces of any size, in their order: arrays as clients send them, and plain lines."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Request]:
        """The commands that are complete with this piece."""
        self._buffer += data
        while (found := _first(self._buffer)) is not None:
            request, end = found
            self._buffer = self._buffer[end:]
            yield request


def _first(buffer: bytes) -> tuple[Request, int] | None:
    """The first command and where it ends; None while it is not complete."""
    line_end = buffer.find(b"\r\n")
    if line_end < 0:
        return None
    if not buffer.startswith(b"*"):
        return tuple(buffer[:line_end].split()), line_end + 2
    words, position = [], line_end + 2
    for _ in range(int(buffer[1:line_end])):
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        start = line_end + 2
        end = start + int(buffer[position + 1 : line_end])
        if len(buffer) < end + 2:
            return None
        words.append(buffer[start:end])
        position = end + 2
    return tuple(words), position
