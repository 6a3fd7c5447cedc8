"""Signatures of what goes through Redis, by keys that only the processes of an environment have: BLUESTAR_CACHE_KEY."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

SIGNATURE_CHARACTERS = 64
_HEAD, _TAIL = b',"s":"', b'"}'
_SIGNED_BYTES = len(_HEAD) + SIGNATURE_CHARACTERS + len(_TAIL)


class Signer:
    """Signs by the first of its keys and believes all of them, so that keys can be replaced one by one.

    HMAC-SHA256. `context` says what is signed: a signature in one place is none in another.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def sign(self, context: bytes, content: bytes) -> bytes:
        """The signature, in hex."""
        return _signature(self._keys[0], context, content)

    def is_signed(self, context: bytes, content: bytes, signature: bytes) -> bool:
        """Whether one of the keys made the signature."""
        return any(hmac.compare_digest(_signature(key, context, content), signature) for key in self._keys)

    def sealed(self, channel: bytes, message: bytes) -> bytes:
        """A JSON object with its signature in it, where release 0.1.0 passes over it; without a key, as it is."""
        if not self._keys:
            return message
        return message[:-1] + _HEAD + self.sign(channel, message) + _TAIL

    def opened(self, channel: bytes, message: bytes) -> tuple[bytes, bool]:
        """What `sealed` was given, and whether one of the keys has signed it; without a key, all counts as signed."""
        if not self._keys:
            return message, True
        head, tail = message[:-_SIGNED_BYTES], message[-_SIGNED_BYTES:]
        if not (tail.startswith(_HEAD) and tail.endswith(_TAIL)):
            return message, False
        content = head + b"}"
        return content, self.is_signed(channel, content, tail[len(_HEAD) : -len(_TAIL)])


def _signature(key: bytes, context: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"%d %b\n%b" % (len(context), context, content), "sha256").hex().encode()
