"""Values that lie encrypted on disk, as they are within the process: what they say, and the ciphertext that says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bluestar_store.errors import EncryptedValueError
from bluestar_store.protocols import AttributeValue

MAGIC = b"\x8bBSE\x01"
"""What the ciphertext of a value begins with, in an attribute of type B; the last byte is the number of its form."""


class SealedValue(dict[str, Any]):
    """A wire value beside its ciphertext: a write that leaves the value alone puts the same bytes back.

    It equals the plain value, so that whoever compares values need not know. Of one that cannot be decrypted, the value
    is the ciphertext, and `reason` says why.
    """

    __slots__ = ("is_lost", "place", "reason", "sealed")
    sealed: bytes
    place: tuple[str, ...]
    reason: str | None
    is_lost: bool

    def __init__(
        self,
        value: Mapping[str, Any],
        sealed: bytes,
        place: tuple[str, ...],
        reason: str | None = None,
        is_lost: bool = False,
    ) -> None:
        """`place`: the table (without prefix), PK, SK and attribute that the ciphertext is bound to.

        `is_lost`: nobody can read it again.
        """
        super().__init__(value)
        self.sealed, self.place, self.reason, self.is_lost = sealed, place, reason, is_lost

    def copy(self) -> SealedValue:
        """Another one; what is in it is never changed."""
        return SealedValue(self, self.sealed, self.place, self.reason, self.is_lost)

    def __reduce__(self) -> tuple[Any, ...]:
        return SealedValue, (dict(self), self.sealed, self.place, self.reason, self.is_lost)

    def __repr__(self) -> str:
        return f"SealedValue({len(self.sealed)} bytes)"


def is_ciphertext(value: AttributeValue | None) -> bool:
    """Whether this is the ciphertext of a value."""
    content = value.get("B") if value is not None else None
    return isinstance(content, bytes) and content.startswith(MAGIC)


def readable(table: str, item: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """The item itself, for who reads it attribute by attribute. Raises EncryptedValueError for a ciphertext in it."""
    for name, value in item.items():
        if is_ciphertext(value):
            error = EncryptedValueError(
                table, why_unreadable(value), pk=item["PK"]["S"], sk=item["SK"]["S"], attribute=name
            )
            error.is_lost = isinstance(value, SealedValue) and value.is_lost
            raise error
    return item


def lost_in(item: Mapping[str, AttributeValue]) -> tuple[str, ...]:
    """The attributes of an item that nobody can read again, because their key was dropped."""
    return tuple(name for name, value in item.items() if isinstance(value, SealedValue) and value.is_lost)


def ciphertext_of(value: AttributeValue | None) -> bytes | None:
    """What lies on disk of a value that is encrypted there, whether it could be read or not; None for another one."""
    if isinstance(value, SealedValue):
        return value.sealed
    return value["B"] if value is not None and is_ciphertext(value) else None


def as_stored(value: AttributeValue) -> AttributeValue:
    """The value as it lies on disk."""
    return {"B": value.sealed} if isinstance(value, SealedValue) else value


def item_as_stored(item: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """The item as it lies on disk."""
    return {name: as_stored(value) for name, value in item.items()}


def why_unreadable(value: AttributeValue) -> str:
    """What keeps the ciphertext in this value from being read."""
    reason = value.reason if isinstance(value, SealedValue) else None
    return reason or (
        "is encrypted, and this process has no key: set BLUESTAR_ENCRYPTION_KEY, or BLUESTAR_ENCRYPTION_KMS_KEY, as "
        "whoever wrote it has it"
    )
