"""Whether a user's entity, Model and keys fit each other: what would fail later, or harm others, is told at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from typing import Any

from pydantic.fields import FieldInfo
from pynamodb.attributes import (
    Attribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    NumberSetAttribute,
    TTLAttribute,
    UTCDateTimeAttribute,
)

from bluestar_store.errors import ConfigurationError
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.immutability import IMMUTABLE, is_immutable
from bluestar_store.mapping.indexes import BY_LEVEL
from bluestar_store.mapping.mapper import OTHERS, ItemModel, LevelModel, Mapper
from bluestar_store.protocols import OWN_PREFIX, VERSION

LAYOUT_SINGLE = "store"
"""The table of layout `single`."""

MAX_ATTRIBUTES = 100
"""Fields of one entity: a write expects each as it was read, and DynamoDB takes so many comparisons and a reserve."""

SNAPSHOT_FIELDS = frozenset({"plan_id", "pay_freq", "year"})
"""What a snapshot is of, and finds partitions by."""

INEXACT: Mapping[type[Attribute[Any]], str] = {
    NumberAttribute: "makes floats of numbers; take DecimalAttribute or IntegerAttribute",
    NumberSetAttribute: "makes floats of numbers; take DocumentAttribute",
    JSONAttribute: "makes floats of numbers, and text of all of it; take DocumentAttribute",
    ListAttribute: "makes floats of numbers; take TextListAttribute or DocumentAttribute",
    MapAttribute: "makes floats of numbers; take TextMapAttribute or DocumentAttribute",
    UTCDateTimeAttribute: "cannot read the dates without a time that other programs write; take UtcAttribute",
    TTLAttribute: "cannot keep a time exactly; take UtcAttribute",
}
"""PynamoDB's attributes that would not give back what was written, and what to take."""


def check_whole(mapper: Mapper[Any]) -> None:
    """ConfigurationError, naming the kind, for one that could not be stored, read or found."""
    for check in (_classes, _table, _in_store, _fields, _attributes, _keys, _lists):
        if (reason := next(check(mapper), None)) is not None:
            raise ConfigurationError(f"kind {mapper.name}: {reason}")


def check_extension(mapper: Mapper[Any], plain: Mapper[Any]) -> None:
    """ConfigurationError for an extension that other programs' items, or a Store without it, could not live with."""
    for name, field in mapper.entity.model_fields.items():
        inherited = plain.entity.model_fields.get(name)
        if inherited is None and field.is_required():
            reason = f"{name} needs a default: the items that are there lack it"
        elif inherited is not None and _meaning(field) != _meaning(inherited):
            reason = f"{name} is a field of {plain.entity.__name__} and cannot be changed"
        elif inherited is not None and mapper.attributes[name] is not plain.attributes[name]:
            reason = f"{name} is an attribute of {plain.model.__name__} and cannot be changed"
        else:
            continue
        raise ConfigurationError(f"kind {mapper.name}: {reason}")


def _classes(mapper: Mapper[Any]) -> Iterator[str]:
    if not mapper.entity.model_rebuild(raise_errors=False) and not mapper.entity.__pydantic_complete__:
        yield f"a field of {mapper.entity.__name__} names a type that is not defined in its module"


def _table(mapper: Mapper[Any]) -> Iterator[str]:
    name = getattr(getattr(mapper.model, "Meta", None), "table_name", None)
    if not isinstance(name, str):
        yield f"{mapper.model.__name__}.Meta needs a table_name, without prefix and suffix"
    elif not re.fullmatch("[a-z0-9-]+", name):
        yield f"table_name {name!r} may have the characters a-z, 0-9 and '-' only"
    elif name == LAYOUT_SINGLE:
        yield f"table_name {name!r} is that of layout single"


def _in_store(mapper: Mapper[Any]) -> Iterator[str]:
    name = mapper.in_store
    if name is not None and (not name.isidentifier() or iskeyword(name) or name.startswith("_")):
        yield f"in_store {name!r} is no name that an attribute of a Store can have"
    if name is None and mapper.repository is not None:
        yield f"repository {mapper.repository!r} needs in_store, the attribute of a Store that has it"


def _fields(mapper: Mapper[Any]) -> Iterator[str]:
    """Fields that are values, and do not stand in the way of what an entity says of itself."""
    fields = mapper.entity.model_fields
    if shadowing := [name for name in fields if hasattr(PlanEntity, name)]:
        yield f"every entity has {', '.join(shadowing)} of its own; call the field otherwise"
    if missing := [name for name in mapper.keys.fields if name not in fields]:
        yield f"{mapper.entity.__name__} has no field {', '.join(missing)}, which its key names"
    if wrong := [name for name, field in fields.items() if not is_immutable(field.annotation, *field.metadata)]:
        yield f"{', '.join(wrong)} could be changed by whoever reads it, or is of no type known here; take {IMMUTABLE}"


def _attributes(mapper: Mapper[Any]) -> Iterator[str]:
    """An attribute for each field, with a name on disk of its own, that gives back what it is given."""
    known = mapper.model.get_attributes()
    names = {name: attribute.attr_name for name, attribute in mapper.attributes.items()}
    if len(names) > MAX_ATTRIBUTES:
        what = f"{mapper.entity.__name__} has {len(names)} fields"
        yield f"{what}; a write compares them all, and {MAX_ATTRIBUTES} at most"
    for name, on_disk in names.items():
        if on_disk in ("PK", "SK", VERSION) or on_disk.startswith(OWN_PREFIX):
            yield f"{name} cannot be kept in the attribute {on_disk}, which is the library's own"
    if twice := [on_disk for on_disk, count in Counter(names.values()).items() if count > 1]:
        yield f"{mapper.model.__name__} has two fields in one attribute: {', '.join(twice)}"
    base = LevelModel if issubclass(mapper.model, LevelModel) else ItemModel
    for name, attribute in base.get_attributes().items():
        if known[name] is not attribute:
            yield f"{mapper.model.__name__} changes {name}, an attribute of {base.__name__}"
    for name, attribute in mapper.attributes.items():
        for inexact, reason in INEXACT.items():
            if isinstance(attribute, inexact):
                yield f"{name}: PynamoDB's {type(attribute).__name__} {reason}"


def _keys(mapper: Mapper[Any]) -> Iterator[str]:
    for template in (mapper.keys.sort, *(template for template, _ in mapper.keys.forms)):
        if (reason := template.ambiguity) is not None:
            yield f"key {template.text!r}: {reason}"


def _lists(mapper: Mapper[Any]) -> Iterator[str]:
    """What finds every plan, and all that a plan has of its own, has to find this kind's items, too."""
    by_level, by_itself = BY_LEVEL in mapper.index_names, mapper.index is None
    if by_level and by_itself and "plan_id" not in mapper.keys.fields:
        yield "a LevelModel is for kinds whose key has a plan_id; take ItemModel"
    if by_level and by_itself and not issubclass(mapper.entity, PlanEntity):
        yield "the entity of a LevelModel is a PlanEntity"
    unread = sorted({*mapper.partition_fields} - SNAPSHOT_FIELDS)
    if mapper.in_snapshot == OTHERS and unread:
        yield f"a snapshot of a plan knows no {', '.join(unread)}, which its partition key has: leave in_snapshot out"
    if mapper.rule_list is not None and not by_level:
        yield "a kind with a rule_list needs a LevelModel: without it, seed --prune would not find its items"
    if by_level and not by_itself and "plan_id" in mapper.keys.fields:
        yield "index is for kinds whose key does not say what they are found by; a LevelModel is indexed by itself"
    if foreign := sorted(name for name in mapper.index_attributes if not name.startswith(OWN_PREFIX)):
        yield f"{mapper.model.__name__} indexes {', '.join(foreign)}; what an index is of begins with {OWN_PREFIX}"


def _meaning(field: FieldInfo) -> tuple[Any, ...]:
    return field.annotation, field.metadata, field.get_default(call_default_factory=False), field.is_required()
