"""The format of an encrypted value: AES-256-GCM, bound to its table, key and attribute.

MAGIC, two bytes and a plan, one byte and the id of one of its keys, 12 bytes of nonce, ciphertext and tag. All before
the nonce is authenticated too, as is the place: a ciphertext that was copied to another item, attribute or table does
not decrypt. The plain text is one byte (1: compressed) and the value in DynamoDB's own JSON.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluestar_store.engines.item_json import to_json, value_from_json
from bluestar_store.mapping.sealed import MAGIC
from bluestar_store.protocols import AttributeValue

NONCE_BYTES = 12
COMPRESSED_FROM = 1024
"""Bytes of a value that is compressed before: a result's JSON may be larger than the item that it came from."""
MOST_BYTES = 16 * 1024 * 1024
"""What a value may be when it is decompressed: many times what an item of 400 KB can say."""
MOVED = "does not decrypt: it was changed, or copied here from another item, attribute or table"


class UnreadableError(Exception):
    """Why a ciphertext cannot be read, in words that follow the attribute's name.

    `is_lost`: its key was dropped.
    """

    def __init__(self, reason: str, *, is_lost: bool = False) -> None:
        super().__init__(reason)
        self.is_lost = is_lost


class KeyName(NamedTuple):
    """One of a plan's keys."""

    plan_id: str
    key_id: str


def bound_to(place: tuple[str, ...], head: bytes = b"") -> bytes:
    """The associated data of a ciphertext: its table, key and attribute."""
    return head + json.dumps(place, ensure_ascii=False, separators=(",", ":")).encode()


def encrypted(value: AttributeValue, place: tuple[str, ...], name: KeyName, key: AESGCM) -> bytes:
    """The ciphertext of a value, for this place only; another one each time."""
    text = to_json(value).encode()
    plain = b"\1" + zlib.compress(text, 1) if len(text) >= COMPRESSED_FROM else b"\0" + text
    plan, key_id = name.plan_id.encode(), name.key_id.encode()
    head = MAGIC + len(plan).to_bytes(2, "big") + plan + bytes([len(key_id)]) + key_id
    nonce = os.urandom(NONCE_BYTES)
    return head + nonce + key.encrypt(nonce, plain, bound_to(place, head))


def key_name_of(sealed: bytes) -> KeyName:
    """Which key a ciphertext needs. Raises UnreadableError for what is damaged."""
    return _parted(sealed)[0]


def decrypted(sealed: bytes, place: tuple[str, ...], key: AESGCM) -> AttributeValue:
    """The value again. Raises UnreadableError."""
    _, size = _parted(sealed)
    head, nonce, content = sealed[:size], sealed[size : size + NONCE_BYTES], sealed[size + NONCE_BYTES :]
    try:
        plain = key.decrypt(nonce, content, bound_to(place, head))
        text = _decompressed(plain[1:]) if plain[:1] == b"\1" else plain[1:]
        value: AttributeValue = value_from_json(json.loads(text))
        return value
    except InvalidTag:
        raise UnreadableError(MOVED) from None
    except (ValueError, zlib.error):
        raise UnreadableError("was encrypted in a form that this release does not know") from None


def _parted(sealed: bytes) -> tuple[KeyName, int]:
    """The key's name, and how long all before the nonce is."""
    try:
        at = len(MAGIC)
        plan, at = _text(sealed, at, 2)
        key_id, at = _text(sealed, at, 1)
        return KeyName(plan, key_id), at
    except (ValueError, IndexError):
        raise UnreadableError("is a ciphertext that was damaged") from None


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    begin = at + size
    end = begin + int.from_bytes(data[at:begin], "big")
    if end + NONCE_BYTES > len(data):
        raise ValueError("too short")
    return data[begin:end].decode(), end


def _decompressed(data: bytes) -> bytes:
    engine: Any = zlib.decompressobj()
    text: bytes = engine.decompress(data, MOST_BYTES)
    if engine.unconsumed_tail:
        raise ValueError("too long")
    return text
