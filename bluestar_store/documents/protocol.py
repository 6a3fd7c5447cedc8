"""The protocol of document stores. Any class with these methods will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from bluestar_store.documents.values import Document, Documents

SOFT_DELETE = "softDelete"
"""The attribute that hides an item from `list`, where it is true."""


@runtime_checkable
class DynamoStore(Protocol):
    """The items of one table under one key. The stores here raise botocore's ClientError, in both modes alike:

    ValidationException for a key that is no text or empty, and for a value that DynamoDB cannot hold (a float, an empty
    set, more than 400 KB); ConditionalCheckFailedException as said below. Every other failure is a BlueStarError.
    """

    def list(self, hide_soft_deleted: bool = True) -> Documents:
        """All items by their keys; [] when there are none. Without `hide_soft_deleted`, soft-deleted ones too."""

    def get(self, pk: str) -> Document | None:
        """The item, soft-deleted or not; None when there is none."""

    def create(self, item: Mapping[str, Any]) -> Document:
        """Keep a new item; returns it as it was stored, with its key and timestamps.

        ConditionalCheckFailedException when there is one with this key, soft-deleted or not.
        """

    def update_fields(self, pk: str, fields: Mapping[str, Any]) -> None:
        """Set these fields and leave the others. None leaves a field as it is, and a key is never changed.

        ConditionalCheckFailedException when there is no such item.
        """

    def soft_delete(self, pk: str, soft_field: str = SOFT_DELETE) -> None:
        """Set the field to True. ConditionalCheckFailedException when there is no such item."""
