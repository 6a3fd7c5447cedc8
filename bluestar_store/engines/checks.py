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
from bluestar_store.mapping.values import MAX_DIGITS, NORMAL_NUMBER, number_text
from bluestar_store.protocols import (
    AsRead,
    AttributeValue,
    Check,
    Delete,
    Expectation,
    Expected,
    Item,
    Place,
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
    return list(checked_places(writes).values())


def checked_places(writes: Sequence[Write]) -> dict[Place, Write]:
    """The same, by the places that are written, in the order of the writes."""
    if len(writes) > MAX_WRITES:
        raise InvalidWriteError(f"{len(writes)} writes; a transaction takes {MAX_WRITES} at most (an AWS limit)")
    total = 0
    result: dict[Place, Write] = {}
    for write in writes:
        ready = write if CHECKED in vars(write) else _checked(write)
        place = ready.table, _key_in(ready.table, ready.item) if isinstance(ready, Put) else ready.key
        if place in result:
            raise InvalidWriteError(f"{write.table}: {place[1]} is written twice in one transaction")
        total += vars(ready)[CHECKED]
        result[place] = ready
    if total > MAX_TRANSACTION_BYTES:
        raise InvalidWriteError(f"the writes are {total} bytes together; a transaction takes 4 MB (an AWS limit)")
    return result


def _checked(write: Write) -> Write:
    ready: Write
    match write:
        case Put():
            key, item, size = _whole_item(write.table, write.item)
            expect, compared = _expectation(write.table, key, write.expect)
            ready = Put(write.table, item, expect, write.once)
        case Update():
            expect, compared = _expectation(write.table, write.key, write.expect)
            check_key(write.table, write.key)
            if write.set.keys() & write.remove or {"PK", "SK"} & (write.set.keys() | write.remove):
                raise InvalidWriteError(
                    f"{write.table}: {write.key}: an update sets and removes one attribute, or a key"
                )
            if not 1 <= len(write.set) + len(write.remove) <= MAX_CHANGES:
                raise InvalidWriteError(f"{write.table}: {write.key}: an update changes 1 to {MAX_CHANGES} attributes")
            if write.remove:
                _attributes(write.table, write.key, dict.fromkeys(write.remove, _NULL))
            changes, size = _attributes(write.table, write.key, write.set)
            if size > MAX_ITEM_BYTES:
                raise _too_large(write.table, write.key, size)
            ready = Update(write.table, write.key, changes, write.remove, expect)
        case Delete() | Check():
            expect, compared = _expectation(write.table, write.key, write.expect)
            check_key(write.table, write.key)
            if isinstance(write, Check) and write.expect is Expected.ANY:
                raise InvalidWriteError(f"{write.table}: {write.key}: a check that expects nothing")
            ready, size = replace(write, expect=expect), 0
    vars(ready)[CHECKED] = size + compared
    return ready


def _expectation(table: str, key: Key, expect: Expectation) -> tuple[Expectation, int]:
    """The expectation with its numbers normalised, and the bytes of what it compares, which count like an item's.

    InvalidWriteError for one that DynamoDB would refuse.
    """
    if not isinstance(expect, AsRead):
        return expect, 0
    compared = {**expect.attributes, **expect.others}
    if len(compared) > MAX_CONDITIONS:
        raise InvalidWriteError(f"{table}: {key}: a write compares {MAX_CONDITIONS} attributes at most")
    present = {name: value for name, value in compared.items() if value is not None}
    normal, size = _attributes(table, key, present)
    attributes = {name: normal.get(name) for name in expect.attributes}
    return AsRead(expect.version, attributes, {name: normal.get(name) for name in expect.others}), size


def _whole_item(table: str, item: Mapping[str, AttributeValue]) -> tuple[Key, Item, int]:
    key = _key_in(table, item)
    check_key(table, key)
    copy, size = _attributes(table, key, item)
    if size > MAX_ITEM_BYTES:
        raise _too_large(table, key, size)
    return key, copy, size


def _key_in(table: str, item: Mapping[str, AttributeValue]) -> Key:
    try:
        key = Key(item["PK"]["S"], item["SK"]["S"])
    except (KeyError, TypeError):
        raise InvalidWriteError(f"{table}: an item without text in PK and SK") from None
    if not all(isinstance(part, str) for part in key):
        raise InvalidWriteError(f"{table}: an item without text in PK and SK")
    return key


def checked_item(table: str, item: Mapping[str, AttributeValue]) -> Item:
    """A copy of a whole item with its numbers normalised. Raises InvalidWriteError, InvalidKeyError,
    ItemTooLargeError.
    """
    return _whole_item(table, item)[1]


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


def check_sizes(items: Iterable[tuple[Place, Item]]) -> None:
    """ItemTooLargeError for an item that an update grew too far."""
    for (table, key), item in items:
        if (size := item_bytes(item)) > MAX_ITEM_BYTES:
            raise _too_large(table, key, size)


def _attributes(table: str, key: Key, attributes: Mapping[str, AttributeValue]) -> tuple[Item, int]:
    """A copy of attributes with their numbers normalised, and their size. InvalidWriteError for what is none."""
    copy: Item = {}
    total = 0
    for name, value in attributes.items():
        try:
            name_bytes = _name_bytes(name)
            copy[name], size = _normal(value, 0)
        except UnicodeEncodeError:
            raise InvalidWriteError(f"{table}: {key}: attribute {shown(name)} is not valid Unicode") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidWriteError(f"{table}: {key}: attribute {shown(name)} {error}") from None
        total += name_bytes + size
    return copy, total


def normal_value(name: str, value: AttributeValue) -> AttributeValue:
    """A copy of an attribute's value with its numbers normalised; ValueError says what DynamoDB would refuse."""
    try:
        _name_bytes(name)
        return _normal(value, 0)[0]
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


_NULL: AttributeValue = {"NULL": True}


def _name_bytes(name: str) -> int:
    """The bytes of an attribute's name; ValueError for one that DynamoDB does not take."""
    size = len(name.encode())
    if not size:
        raise ValueError("has or contains an empty name")
    if size > MAX_NAME_BYTES:
        raise ValueError(f"has or contains a name of more than {MAX_NAME_BYTES} bytes (an AWS limit)")
    return size


def _normal(value: AttributeValue, depth: int) -> tuple[AttributeValue, int]:
    """A deep copy of a wire value, numbers normalised, and its size; ValueError for what DynamoDB does not take."""
    if type(value) is SealedValue:
        return value.copy(), _bytes(value)
    if len(value) != 1:
        raise ValueError("is not one value of one type")
    if depth >= MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep (an AWS limit)")
    ((kind, content),) = value.items()
    match kind, content:
        case "S", str():
            return {"S": content}, len(content.encode())
        case "N", str():
            usual = len(content) <= MAX_DIGITS and NORMAL_NUMBER.fullmatch(content)
            text = content if usual else number_text(content)
            return {"N": text}, _number_bytes(text)
        case "B", bytes():
            return {"B": content}, len(content)
        case ("BOOL", bool()) | ("NULL", True):
            return {kind: content}, 1
        case "L", list() | tuple():
            members = [_normal(inner, depth + 1) for inner in content]
            return {"L": [member for member, _ in members]}, 3 + len(members) + sum(size for _, size in members)
        case "M", Mapping():
            copy, total = {}, 3
            for name, inner in content.items():
                total += 1 + _name_bytes(name)
                copy[name], size = _normal(inner, depth + 1)
                total += size
            return {"M": copy}, total
        case (("SS" | "NS" | "BS"), list() | tuple()):
            return _normal_set(kind, content)
    raise ValueError(f"is no DynamoDB value of type {kind}")


def _normal_set(kind: str, content: Sequence[Any]) -> tuple[AttributeValue, int]:
    of_one = kind[0]
    measured = [_normal({of_one: member}, 0) for member in content]
    members = [member[of_one] for member, _ in measured]
    if not members:
        raise ValueError("is an empty set, which DynamoDB does not keep")
    if len(set(members)) != len(members):
        raise ValueError("is a set that holds a member twice")
    return {kind: members}, sum(size for _, size in measured)


def item_bytes(item: Mapping[str, AttributeValue]) -> int:
    """The size of an item by AWS's rules ("DynamoDB item sizes and formats" in the developer guide)."""
    return sum(
        len(name.encode()) + (len(value["S"].encode()) if "S" in value else _bytes(value))
        for name, value in item.items()
    )


def _bytes(value: AttributeValue) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + len(content) + sum(map(_bytes, content))
        case "M":
            return 3 + len(content) + item_bytes(content)
        case "SS":
            return sum(len(member.encode()) for member in content)
        case "NS":
            return sum(map(_number_bytes, content))
        case "BS":
            return sum(map(len, content))
    raise ValueError(f"is of type {shown(kind)}, which DynamoDB does not have")


def _number_bytes(text: str) -> int:
    """A byte for two significant digits, one more, and one for the sign; 21 at most."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return min(21, (len(digits) + 1) // 2 + 1 + text.startswith("-"))
