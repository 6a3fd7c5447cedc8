"""Cursors: opaque texts that mark where a page ended, valid only for the query or scan that returned them.

A cursor holds a position and no partition, which comes from the query itself: no forged cursor leads into another
partition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from bluestar_store.errors import InvalidKeyError
from bluestar_store.keys import MAX_PK_BYTES


def question_of(*parts: object) -> str:
    """A short digest of a query; a cursor is valid only for queries with the same digest."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def question_of_query(table: str, index: str | None, pk: str, sk_prefix: str, newest_first: bool) -> str:
    """That of a query. The position of its cursors is a sort key; in an index, its sort attribute, then PK and SK."""
    return question_of(table, index, pk, sk_prefix, newest_first)


def encode_cursor(question: str, position: list[str]) -> str:
    """The cursor for a position in the answer to a question."""
    return base64.urlsafe_b64encode(json.dumps([question, *position]).encode()).decode()


def decode_cursor(question: str, cursor: str, length: int, prefix: str = "") -> list[str]:
    """The position: `length` texts, the first of which has the query's prefix.

    InvalidKeyError when the cursor was made for another question, or by nobody.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii", "strict")))
    except (ValueError, binascii.Error, RecursionError):
        found = None
    match found:
        case [str(asked), *position] if asked == question and len(position) == length:
            if all(map(_can_be_key, position)) and position[0].startswith(prefix):
                return position
    raise InvalidKeyError("the cursor does not belong to this query; take it from the page before, unchanged")


def _can_be_key(part: object) -> bool:
    """DynamoDB refuses other positions, and the HTTP client lone surrogates, in words that help nobody."""
    if not isinstance(part, str):
        return False
    try:
        return 0 < len(part.encode()) <= MAX_PK_BYTES
    except UnicodeEncodeError:
        return False
