"""Cursors: opaque texts that say where a page ended, and are good for the same question only.

A cursor holds a position, never a partition: that comes from the question itself, so that no forged cursor leads into
another partition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from bluestar_store.errors import InvalidKeyError


def question_of(*parts: object) -> str:
    """A short digest of what was asked; two questions share a cursor only when it is the same."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def encode_cursor(question: str, position: list[str]) -> str:
    """The cursor for a position in the answer to a question."""
    return base64.urlsafe_b64encode(json.dumps([question, *position]).encode()).decode()


def decode_cursor(question: str, cursor: str, length: int) -> list[str]:
    """The position, `length` texts; InvalidKeyError when the cursor was made for another question, or by nobody."""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii", "strict")))
    except (ValueError, binascii.Error, RecursionError):
        found = None
    match found:
        case [str(asked), *position] if asked == question and len(position) == length:
            if all(isinstance(part, str) and part for part in position):
                return position
    raise InvalidKeyError("the cursor does not belong to this query; take it from the page before, unchanged")
