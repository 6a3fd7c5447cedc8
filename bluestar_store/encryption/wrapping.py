"""Wraps plans' data keys: by keys of the settings here, or by AWS KMS (see `kms`)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluestar_store.encryption.values import MOVED, NONCE_BYTES, UnreadableError, bound_to

LOCAL = b"L"
"""What a key begins with that was wrapped by a key of the settings."""
ID_BYTES = 4


class Wrapper(Protocol):
    """Encrypts data keys, each for its place. Safe for threads."""

    @property
    def form(self) -> bytes:
        """The byte that what it wrapped begins with."""

    def wrap(self, key: bytes, place: tuple[str, ...]) -> bytes:
        """The wrapped key. Raises EngineError if a service that wraps it fails."""

    def unwrap(self, wrapped: bytes, place: tuple[str, ...]) -> bytes:
        """The key again. Raises UnreadableError for what cannot be unwrapped here, and EngineError."""

    def is_current(self, wrapped: bytes, place: tuple[str, ...]) -> bool:
        """Whether it would be wrapped by the same key now. Of what this wrapped only. Raises EngineError."""


class LocalKeys:
    """Keys of the settings: the first one encrypts, all decrypt."""

    form = LOCAL

    def __init__(self, keys: Sequence[bytes]) -> None:
        """32 bytes each."""
        self._keys = {key_id(key): AESGCM(key) for key in keys}

    def wrap(self, key: bytes, place: tuple[str, ...]) -> bytes:
        """See Wrapper."""
        name, first = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return LOCAL + name + nonce + first.encrypt(nonce, key, bound_to(place))

    def unwrap(self, wrapped: bytes, place: tuple[str, ...]) -> bytes:
        """See Wrapper."""
        begin = 1 + ID_BYTES
        name, nonce, content = wrapped[1:begin], wrapped[begin : begin + NONCE_BYTES], wrapped[begin + NONCE_BYTES :]
        key = self._keys.get(name)
        if key is None:
            known = ", ".join(one.hex() for one in self._keys)
            raise UnreadableError(
                f"is encrypted under the key {name.hex()}, which is not among those of BLUESTAR_ENCRYPTION_KEY "
                f"({known}): add it behind them"
            )
        try:
            return key.decrypt(nonce, content, bound_to(place))
        except (InvalidTag, ValueError):
            raise UnreadableError(f"needs the plan's key at {' '.join(place[1:3])}, which {MOVED}") from None

    def is_current(self, wrapped: bytes, place: tuple[str, ...]) -> bool:
        """See Wrapper."""
        return wrapped[: 1 + ID_BYTES] == LOCAL + next(iter(self._keys))


def key_id(key: bytes) -> bytes:
    """The name of a key in errors, which reveals nothing of its 32 random bytes."""
    return hashlib.sha256(b"bluestar-store key id\0" + key).digest()[:ID_BYTES]


class Wrappers:
    """The first one wraps, each unwraps its own."""

    def __init__(self, wrappers: Sequence[Wrapper]) -> None:
        self._wrappers = tuple(wrappers)

    def wrap(self, key: bytes, place: tuple[str, ...]) -> bytes:
        """As Wrapper."""
        return self._wrappers[0].wrap(key, place)

    def unwrap(self, wrapped: bytes, place: tuple[str, ...]) -> bytes:
        """As Wrapper."""
        for wrapper in self._wrappers:
            if wrapper.form == wrapped[:1]:
                return wrapper.unwrap(wrapped, place)
        needed = "BLUESTAR_ENCRYPTION_KEY" if wrapped[:1] == LOCAL else "BLUESTAR_ENCRYPTION_KMS_KEY"
        raise UnreadableError(f"is encrypted under a key of {needed}, which is not set")

    def is_current(self, wrapped: bytes, place: tuple[str, ...]) -> bool:
        """As Wrapper."""
        return self._wrappers[0].form == wrapped[:1] and self._wrappers[0].is_current(wrapped, place)
