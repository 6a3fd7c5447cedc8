"""What DynamoDB would refuse, found before anything is sent, alike on every engine.

Numbers leave here in the one spelling that DynamoDB gives back, so that engines answer the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bluestar_store.errors import ConfigurationError, InvalidKeyError, InvalidWriteError, ItemTooLargeError
from bluestar_store.keys import MAX_PK_BYTES, MAX_SK_BYTES, Key, shown
from bluestar_store.mapping.sealed import SealedValue
from bluestar_store.mapping.values import number_text
from bluestar_store.mapping.wire import visitor
from bluestar_store.protocols import (
    AsRead,
    AttributeValue,
    Check,
    Delete,
    Expectation,
    Expected,
    Item,
    Put,
    TableSpec,
    Update,
    Write,
)

MAX_WRITES = 100
"""Writes in one transaction (AWS limit)."""
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
"""Items of one transaction together, and what they are compared with (AWS limit)."""
MAX_ITEM_BYTES = 400 * 1024
"""One item, names and values (AWS limit)."""
MAX_NAME_BYTES = 64 * 1024 - 1
"""The name of an attribute, inside of a map too (AWS limit)."""
MAX_INDEXED_NAME_BYTES = 255
"""The name of an attribute that is a key of an index (AWS limit)."""
MAX_DEPTH = 32
"""Nesting of lists and maps, the innermost value counted (AWS limit)."""
MAX_CHANGES = 250
"""Attributes that one Update sets or removes: what fits into an expression of 4 KB (AWS limit)."""
MAX_CONDITIONS = 125
"""Attributes that one expectation compares: what fits into 4 KB and 300 operators besides a version (AWS limits)."""
CHECKED = "_checked_bytes"
"""Where a write that was checked has its size, so that a unit of work's are not checked again when they are sent. It is
no field: what `dataclasses.replace` makes of such a write does not have it."""
MAX_ISOLATED_KEYS = 100
"""Keys of one isolated read (AWS limit)."""


def checked(writes: Sequence[Write]) -> list[Write]:
    """The writes with their numbers normalised; InvalidWriteError or ItemTooLargeError for what cannot be sent."""
    if len(writes) > MAX_WRITES:
        raise InvalidWriteError(f"{len(writes)} writes; a transaction takes {MAX_WRITES} at most (an AWS limit)")
    seen: set[tuple[str, Key]] = set()
    total = 0
    result: list[Write] = []
    for write in writes:
        place = (write.table, write.key)
        if place in seen:
            raise InvalidWriteError(f"{write.table}: {write.key} is written twice in one transaction")
        seen.add(place)
        ready, size = (write, vars(write)[CHECKED]) if CHECKED in vars(write) else _checked(write)
        vars(ready)[CHECKED] = size
        total += size
        result.append(ready)
    if total > MAX_TRANSACTION_BYTES:
        raise InvalidWriteError(f"the writes are {total} bytes together; a transaction takes 4 MB (an AWS limit)")
    return result


def _checked(write: Write) -> tuple[Write, int]:
    expect, compared = _expectation(write.table, write.key, write.expect)
    match write:
        case Put():
            item = checked_item(write.table, write.item)
            return replace(write, item=item, expect=expect), item_bytes(item) + compared
        case Update():
            check_key(write.table, write.key)
            if write.set.keys() & write.remove or {"PK", "SK"} & (write.set.keys() | write.remove):
                raise InvalidWriteError(
                    f"{write.table}: {write.key}: an update sets and removes one attribute, or a key"
                )
            if not 1 <= len(write.set) + len(write.remove) <= MAX_CHANGES:
                raise InvalidWriteError(f"{write.table}: {write.key}: an update changes 1 to {MAX_CHANGES} attributes")
            for name in write.remove:
                _value(write.table, write.key, name, {"NULL": True})
            changes = {name: _value(write.table, write.key, name, value) for name, value in write.set.items()}
            size = item_bytes(changes)
            if size > MAX_ITEM_BYTES:
                raise _too_large(write.table, write.key, size)
            return replace(write, set=changes, expect=expect), size + compared
        case Delete() | Check():
            check_key(write.table, write.key)
            if isinstance(write, Check) and write.expect is Expected.ANY:
                raise InvalidWriteError(f"{write.table}: {write.key}: a check that expects nothing")
            return replace(write, expect=expect), compared


def _expectation(table: str, key: Key, expect: Expectation) -> tuple[Expectation, int]:
    """The expectation with its numbers normalised, and the bytes of what it compares, which count like an item's.

    InvalidWriteError for one that DynamoDB would refuse.
    """
    if not isinstance(expect, AsRead):
        return expect, 0
    if len(expect.all_attributes) > MAX_CONDITIONS:
        raise InvalidWriteError(f"{table}: {key}: a write compares {MAX_CONDITIONS} attributes at most")

    def normal(attributes: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue | None]:
        return {name: None if value is None else _value(table, key, name, value) for name, value in attributes.items()}

    ready = replace(expect, attributes=normal(expect.attributes), others=normal(expect.others))
    return ready, item_bytes({name: value for name, value in ready.all_attributes.items() if value is not None})


def checked_item(table: str, item: Mapping[str, AttributeValue]) -> Item:
    """A copy of a whole item with its numbers normalised."""
    try:
        key = Key(item["PK"]["S"], item["SK"]["S"])
    except (KeyError, TypeError):
        raise InvalidWriteError(f"{table}: an item without text in PK and SK") from None
    if not all(isinstance(part, str) for part in key):
        raise InvalidWriteError(f"{table}: an item without text in PK and SK")
    check_key(table, key)
    copy = {name: _value(table, key, name, value) for name, value in item.items()}
    size = item_bytes(copy)
    if size > MAX_ITEM_BYTES:
        raise _too_large(table, key, size)
    return copy


def check_specs(specs: Iterable[TableSpec]) -> None:
    """ConfigurationError for an index on an attribute whose name DynamoDB does not take there."""
    for spec in specs:
        for index in spec.indexes:
            for name in (index.partition_attribute, index.sort_attribute):
                if not 0 < len(name.encode()) <= MAX_INDEXED_NAME_BYTES:
                    raise ConfigurationError(
                        f"{spec.name}: index {index.name}: attribute {shown(name)} has a name of 0 or of more than "
                        f"{MAX_INDEXED_NAME_BYTES} bytes (an AWS limit)"
                    )


def check_key(table: str, key: Key) -> None:
    """InvalidKeyError for a key that DynamoDB does not take."""
    for name, text, limit in (("PK", key.pk, MAX_PK_BYTES), ("SK", key.sk, MAX_SK_BYTES)):
        if not isinstance(text, str):
            raise InvalidKeyError(f"{table}: {name} must be text, not {type(text).__name__}")
        if not text:
            raise InvalidKeyError(f"{table}: {name} is empty")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise InvalidKeyError(f"{table}: {name} {shown(text)} is not valid Unicode") from None
        if size > limit:
            raise InvalidKeyError(f"{table}: {name} {shown(text)} is {size} bytes; {limit} at most (an AWS limit)")


def check_keys(table: str, keys: Iterable[Key]) -> list[Key]:
    """The keys of a read, each once, in the order asked."""
    wanted = list(dict.fromkeys(keys))
    for key in wanted:
        check_key(table, key)
    return wanted


def check_isolated(table: str, keys: Iterable[Key]) -> list[Key]:
    """The keys of an isolated read; InvalidWriteError, DynamoDB's answer too, when they do not fit into one."""
    wanted = check_keys(table, keys)
    if len(wanted) > MAX_ISOLATED_KEYS:
        raise InvalidWriteError(f"{table}: {len(wanted)} keys; one read takes {MAX_ISOLATED_KEYS} (an AWS limit)")
    return wanted


def check_question(table: str, pk: str, sk_prefix: str, limit: int | None) -> None:
    """InvalidKeyError for a partition or a beginning of a sort key that no item can have."""
    check_key(table, Key(pk, sk_prefix or "-"))
    check_limit(limit)


def check_limit(limit: int | None) -> None:
    """ValueError for a page of no items."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")


def _too_large(table: str, key: Key, size: int) -> ItemTooLargeError:
    return ItemTooLargeError(f"{table}: {key}: {size} bytes; an item has 400 KB at most (an AWS limit)")


def check_size(table: str, key: Key, item: Item) -> None:
    """ItemTooLargeError for an item that an update grew too far."""
    size = item_bytes(item)
    if size > MAX_ITEM_BYTES:
        raise _too_large(table, key, size)


def _value(table: str, key: Key, name: str, value: AttributeValue) -> AttributeValue:
    try:
        return normal_value(name, value)
    except ValueError as error:
        raise InvalidWriteError(f"{table}: {key}: attribute {shown(name)} {error}") from None


def normal_value(name: str, value: AttributeValue) -> AttributeValue:
    """A copy of an attribute's value with its numbers normalised; ValueError says what DynamoDB would refuse."""
    try:
        _check_name(name)
        return _normal(value, 0)
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _check_name(name: str) -> None:
    """ValueError for the name of an attribute that DynamoDB does not take."""
    if not name:
        raise ValueError("has or contains an empty name")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"has or contains a name of more than {MAX_NAME_BYTES} bytes (an AWS limit)")


def _normal(value: AttributeValue, depth: int) -> AttributeValue:
    """A deep copy of a wire value, numbers normalised; ValueError for what DynamoDB does not take."""
    if type(value) is SealedValue:
        return value.copy()
    if len(value) != 1:
        raise ValueError("is not one value of one type")
    if depth >= MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep (an AWS limit)")
    ((kind, content),) = value.items()
    match kind, content:
        case "S", str():
            content.encode()
            return {"S": content}
        case "N", str():
            return {"N": number_text(content)}
        case "B", bytes():
            return {"B": content}
        case "BOOL", bool():
            return {"BOOL": content}
        case "NULL", True:
            return {"NULL": True}
        case "L", list() | tuple():
            return {"L": [_normal(inner, depth + 1) for inner in content]}
        case "M", Mapping():
            for name in content:
                _check_name(name)
            return {"M": {name: _normal(inner, depth + 1) for name, inner in content.items()}}
        case (("SS" | "NS" | "BS"), list() | tuple()):
            return {kind: _normal_set(kind[0], content)}
    raise ValueError(f"is no DynamoDB value of type {kind}")


def _normal_set(kind: str, content: Sequence[Any]) -> list[Any]:
    members = [_normal({kind: member}, 0)[kind] for member in content]
    if not members:
        raise ValueError("is an empty set, which DynamoDB does not keep")
    if len(set(members)) != len(members):
        raise ValueError("is a set that holds a member twice")
    return members


def item_bytes(item: Mapping[str, AttributeValue]) -> int:
    """The size of an item by AWS's rules ("DynamoDB item sizes and formats" in the developer guide)."""
    return sum(len(name.encode()) + _bytes(value) for name, value in item.items())


def _number_bytes(text: str) -> int:
    """A byte for two significant digits, one more, and one for the sign; 21 at most."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return min(21, (len(digits) + 1) // 2 + 1 + text.startswith("-"))


_bytes = visitor(
    {
        "S": lambda content: len(content.encode()),
        "N": _number_bytes,
        "B": len,
        "BOOL": lambda _: 1,
        "NULL": lambda _: 1,
        "SS": lambda content: sum(len(member.encode()) for member in content),
        "NS": lambda content: sum(map(_number_bytes, content)),
        "BS": lambda content: sum(map(len, content)),
    },
    list_of=lambda sizes: 3 + len(sizes) + sum(sizes),
    map_of=lambda sizes: 3 + len(sizes) + sum(sizes.values()) + sum(map(len, map(str.encode, sizes))),
)
"""The size of a wire value."""
