"""The operations of a document store that are alike in both modes; subclasses hold the items."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias
from uuid import UUID

from botocore.exceptions import ClientError

from bluestar_store.documents import timestamps
from bluestar_store.documents.failures import GET, PUT, QUERY, UPDATE, invalid
from bluestar_store.documents.names import check_attribute_name, check_indexes, check_table_name
from bluestar_store.documents.protocol import SOFT_DELETE
from bluestar_store.documents.values import (
    Document,
    Documents,
    UnsupportedValueError,
    check_size,
    check_text,
    plain_document,
    plain_value,
    wire_document,
)
from bluestar_store.engines.checks import MAX_CHANGES
from bluestar_store.errors import ConfigurationError
from bluestar_store.keys import shown, unseen
from bluestar_store.protocols import Item
from bluestar_store.redaction.tracebacks import without_locals

IdGenerator: TypeAlias = Callable[..., object]
"""Gives the key of an item without one: called with a copy of the item where it takes one, else without anything.

It returns the key (a UUID becomes text), or the item with its key.
"""


@without_locals
class DocumentStore(ABC):
    """See `DynamoStore`; `find` comes on top. Safe to share between threads."""

    def __init__(
        self, table_name: str, pk_name: str, id_generator: IdGenerator | None = None, *, indexes: Iterable[str] = ()
    ) -> None:
        self.table_name, self.pk_name = check_table_name(table_name), check_attribute_name(pk_name)
        self.id_generator = id_generator
        self.indexes = check_indexes(pk_name, indexes)

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the items are, in words for a person."""

    def list(self, hide_soft_deleted: bool = True) -> Documents:
        """See `DynamoStore`."""
        return self._shown(self._read_all(), hide_soft_deleted)

    def get(self, pk: str) -> Document | None:
        """See `DynamoStore`."""
        item = self._read(self._key(GET, pk))
        return plain_document(item) if item is not None else None

    def find(self, field: str, value: str, *, hide_soft_deleted: bool = True) -> Documents:
        """The items whose field has this text, by their keys; [] when there are none.

        On DynamoDB, an item that was written a moment ago may be missing: its indexes follow the table. What is found
        is as it is now. ConfigurationError for a field that the store was not opened with (`indexes`),
        ValidationException for a value that is no text.
        """
        if field not in self.indexes:
            raise ConfigurationError(
                f"{self.table_name} has no index on {field!r}: get_store(..., indexes=({field!r},)) makes one"
            )
        try:
            text = check_text(field, value)
        except UnsupportedValueError as error:
            raise self._invalid(QUERY, error) from None
        return self._shown(self._find(field, text), hide_soft_deleted)

    def create(self, item: Mapping[str, Any]) -> Document:
        """See `DynamoStore`. An item without a key gets one, where there is an `id_generator`."""
        if not isinstance(item, Mapping):
            raise invalid(PUT, f"{self.table_name}: an item is a dict, not {type(item).__name__}")
        try:
            wire = self.checked_item(with_key(item, self.pk_name, self.id_generator))
            check_new_key(wire, self.pk_name)
            new = timestamps.stamped(wire, timestamps.now())
            check_size(new)
        except UnsupportedValueError as error:
            raise self._invalid(PUT, error) from None
        self._insert(new[self.pk_name]["S"], new, timestamps.CREATED not in wire and "S" in new[timestamps.CREATED])
        return plain_document(new)

    def update_fields(self, pk: str, fields: Mapping[str, Any]) -> None:
        """See `DynamoStore`. Of what the fields hold, dicts and lists too, each takes the place of what was there."""
        if not isinstance(fields, Mapping):
            raise invalid(UPDATE, f"{self.table_name}: fields are a dict, not {type(fields).__name__}")
        # Agents written against the older modules hand over whole items, their keys and blanks among them.
        self._update(pk, {name: value for name, value in fields.items() if name != self.pk_name and value is not None})

    def soft_delete(self, pk: str, soft_field: str = SOFT_DELETE) -> None:
        """See `DynamoStore`. `list` and `find` hide what has a true `softDelete`, and no other field."""
        if soft_field == self.pk_name:
            raise invalid(UPDATE, f"{self.table_name}: {soft_field!r} is the key and cannot be the soft-delete field")
        self._update(pk, {soft_field: True})

    def items(self) -> Iterable[Item]:
        """All items in wire form, by their keys."""
        return self._in_order(self._read_all())

    @abstractmethod
    def merge(self, items: Mapping[str, Item], overwrite: bool) -> Mapping[str, Item]:
        """Keep the wire items, exactly as they are, that are not there or, with `overwrite`, differ.

        Returns what was there under their keys before.
        """

    def checked_item(self, item: Mapping[str, Any]) -> Item:
        """The item in wire form. Raises UnsupportedValueError for what the table does not take."""
        wire = checked_wire(item, self.pk_name)
        self._check_indexed(wire)
        return wire

    def _update(self, pk: str, fields: Mapping[str, Any]) -> None:
        key = self._key(UPDATE, pk)
        try:
            changes = wire_document(fields)
            self._check_indexed(changes)
            if len(changes) >= MAX_CHANGES:
                raise UnsupportedValueError(None, f"an update sets less than {MAX_CHANGES} fields")
            check_size(changes)
            self._change(key, changes)
        except UnsupportedValueError as error:
            raise self._invalid(UPDATE, error) from None

    def _check_indexed(self, item: Item) -> None:
        for field in self.indexes:
            if field in item:
                check_text(field, plain_value(item[field]))

    def _key(self, operation: str, pk: object) -> str:
        try:
            return check_text(self.pk_name, pk)
        except UnsupportedValueError as error:
            raise self._invalid(operation, error) from None

    def _invalid(self, operation: str, error: UnsupportedValueError) -> ClientError:
        return invalid(operation, f"{self.table_name}: {error}")

    def _shown(self, items: Iterable[Item], hide_soft_deleted: bool) -> Documents:
        documents = [plain_document(item) for item in self._in_order(items)]
        return [found for found in documents if not (hide_soft_deleted and found.get(SOFT_DELETE))]

    def _in_order(self, items: Iterable[Item]) -> Iterable[Item]:
        """By their keys' bytes in UTF-8, which is the order of Python's texts."""
        return sorted(items, key=lambda item: item[self.pk_name]["S"])

    def _named(self, key: str, what: str) -> str:
        return f"{self.table_name}: {self.pk_name} {shown(key)} {what}"

    @abstractmethod
    def _read(self, key: str) -> Item | None:
        """The item as it is now."""

    @abstractmethod
    def _read_all(self) -> Iterable[Item]:
        """All items as they are now, in any order."""

    @abstractmethod
    def _find(self, field: str, value: str) -> Iterable[Item]:
        """The items whose indexed field has this text, in any order."""

    @abstractmethod
    def _insert(self, key: str, item: Item, is_stamped: bool) -> None:
        """Keep a new item; ConditionalCheckFailedException when there is one.

        `is_stamped`: whether its `created` is of this very call, to the microsecond, and so no other item's.
        """

    @abstractmethod
    def _change(self, key: str, changes: Item) -> None:
        """Set these attributes, and `modified` unless it is among them, in the shape that the item has of it.

        ConditionalCheckFailedException when there is no item, UnsupportedValueError when it would become too large.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.table_name!r}, {self.pk_name!r}) in {self.location}"


def checked_wire(item: Mapping[str, Any], pk_name: str) -> Item:
    """The item in wire form. Raises UnsupportedValueError for what no table with this key can hold."""
    check_text(pk_name, item.get(pk_name))
    wire = wire_document(item)
    check_size(wire)
    return wire


def check_new_key(item: Item, pk_name: str) -> None:
    """Raises UnsupportedValueError for a key in which something cannot be seen; what is stored under one stays."""
    if (reason := unseen(item[pk_name]["S"])) is not None:
        raise UnsupportedValueError(pk_name, f"is a key and {reason}")


def with_key(item: Mapping[str, Any], pk_name: str, id_generator: IdGenerator | None) -> Mapping[str, Any]:
    """The item, with a key. Raises UnsupportedValueError when it has none and none can be generated."""
    if item.get(pk_name) not in (None, ""):
        return item
    if id_generator is None:
        raise UnsupportedValueError(pk_name, "is the key and is missing or empty, and there is no id_generator")
    copy = dict(item)
    made = id_generator(copy) if _takes_an_item(id_generator) else id_generator()
    if isinstance(made, Mapping):
        return made
    if made is not None:
        copy[pk_name] = str(made) if isinstance(made, UUID) else made
    return copy


def _takes_an_item(id_generator: IdGenerator) -> bool:
    """Whether it has a parameter that has to be given."""
    try:
        parameters = inspect.signature(id_generator).parameters.values()
    except ValueError:  # written in C, without a signature
        return False
    given = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in given and one.default is inspect.Parameter.empty for one in parameters)
