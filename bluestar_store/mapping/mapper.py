"""A Mapper ties an entity to its PynamoDB Model and its keys, and translates between entity and wire item.

Nearly every item becomes its entity in one call of pydantic's core: pydantic's own way in needs the values taken out of
the item before, by a loop in Python, which takes several times as long as all of pydantic's work (measured). So the
entity's own schema is compiled once more (`Reading`), each field looking for its value at a path in the item, such as
`max_pct` / `N`. Falls back to the loop, which reports errors, for what is not as usual: a null, another type, a number
that is not the key's, any error.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Generic, TypeVar

from immutabledict import immutabledict
from pydantic import ValidationError
from pydantic_core import SchemaError, SchemaValidator
from pynamodb.attributes import Attribute, BooleanAttribute, UnicodeAttribute
from pynamodb.constants import BINARY, BINARY_SET

from bluestar_store.errors import EncryptedValueError, InvalidEntityError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.attributes import DecimalAttribute
from bluestar_store.mapping.declaration import OTHERS, Declaration, Derived, ItemModel, LevelModel, ListedIn
from bluestar_store.mapping.entity import Entity, Origin
from bluestar_store.mapping.indexes import BY_LEVEL, index_text
from bluestar_store.mapping.sealed import SealedValue, is_ciphertext, why_unreadable
from bluestar_store.mapping.values import MAX_DIGITS, check_unicode, content_of, exact_number, version_of
from bluestar_store.mapping.wire import from_wire
from bluestar_store.protocols import OWN_PREFIX, VERSION, AttributeValue, Item, key_of

__all__ = ["OTHERS", "Derived", "ItemModel", "LevelModel", "ListedIn", "Mapper", "Reading", "reason_of"]

NOTHING: Mapping[str, Any] = immutabledict()
KEY = "#"
"""Where the values that the key says are put beside the attributes: no identifier, so no field's attribute."""

E = TypeVar("E", bound=Entity)
F = TypeVar("F", bound=Entity)

_set = object.__setattr__


@dataclass(frozen=True)
class Mapper(Declaration[E]):
    """Translates between an entity and its item; `Declaration` says what it is made with."""

    def __hash__(self) -> int:
        return hash(self.name)

    def extended(self, entity: type[F], model: type[ItemModel]) -> Mapper[F]:
        """The same kind with fields of a user's own: a subclass of the entity, and of its Model with an attribute each.

        Give the new fields a default: items that are there already lack them. Raises ConfigurationError where the two
        differ in what they have.
        """
        extended: Any = replace(self, entity=entity, model=model, extensible=False)  # type: ignore[arg-type]  # a subclass of E
        return extended  # type: ignore[no-any-return]  # of the entity that was given

    @cached_property
    def _read(self) -> tuple[tuple[str, str, str, Callable[[Any], Any] | None], ...]:
        """What is read of an item: the field, its name and type on disk, and how; of the key only what is a number.

        None: what is on disk is the value.
        """
        texts = set(self.keys.fields) - self.keys.numbers
        return tuple(
            (name, attribute.attr_name, attribute.attr_type, None if _is_plain(attribute) else attribute.deserialize)
            for name, attribute in self.attributes.items()
            if name not in texts
        )

    @cached_property
    def _written(self) -> tuple[tuple[str, str, str, Callable[[Any], Any] | None], ...]:
        """What is written of an entity: the field, its name and type on disk, and how; None: as it is."""
        return tuple(
            (name, attribute.attr_name, attribute.attr_type, None if _is_text(attribute) else attribute.serialize)
            for name, attribute in self.attributes.items()
        )

    @cached_property
    def reading(self) -> Reading[E]:
        """The short way from an item to its entity."""
        return Reading(self.entity, {name: self.attributes[name] for name, *_ in self._read}, self.keys.fields)

    @cached_property
    def _own(self) -> frozenset[str]:
        """Every attribute that an item of ours has."""
        names = (attribute.attr_name for attribute in self.model.get_attributes().values())
        return self._known.union(name for name in names if name.startswith(OWN_PREFIX))

    @cached_property
    def _known(self) -> frozenset[str]:
        names = (attribute.attr_name for attribute in self.attributes.values())
        return frozenset((*names, "PK", "SK", VERSION))

    def index_of(self, entity: E) -> Mapping[str, str]:
        """The index attributes of an entity; one that is left out is removed by a write.

        Those of a LevelModel follow from its key: the kind's name, the plan, and the next field besides. They are what
        finds every plan, and all that a plan overrides.
        """
        if self.index is not None:
            return self.index(entity)
        if BY_LEVEL not in self.index_names:
            return {}
        plan_id, *others = (getattr(entity, name) for name in self._plan_first)
        return {"bs_kind": self.name, "bs_level": index_text(plan_id, str(others[0]) if others else "")}

    @cached_property
    def _plan_first(self) -> tuple[str, ...]:
        """The fields that make the key, the plan before the others."""
        return ("plan_id", *(name for name in self.keys.fields if name != "plan_id"))

    def identity(self, entity: E) -> dict[str, Any]:
        """The fields that make the key."""
        return {name: getattr(entity, name) for name in self.keys.fields}

    def key(self, entity: E) -> Key:
        """Where the entity lies: the raw key it was read from while its identity is the same, else a built one."""
        identity = self.identity(entity)
        built = self.keys.build(identity)
        read = entity.origin.key if entity.origin is not None else built
        return read if read != built and self.keys.parse(read) == identity else built

    def validated(self, entity: E) -> E:
        """The entity again, from its values: `model_copy(update=...)` does not look at what it is given."""
        if type(entity) is not self.entity:  # fields that a subclass has would be lost
            raise InvalidEntityError(
                f"this Store keeps {self.name} as {self.entity.__name__}, not {type(entity).__name__}; a class of your "
                "own is registered when the Store is opened"
            )
        made = self.made(**entity.__dict__)
        _set(made, "_origin", entity.origin)
        return made

    def made(self, **values: Any) -> E:
        """A new entity of these values. Raises InvalidEntityError."""
        try:
            made: E = self.entity.__pydantic_validator__.validate_python(values)
            return made
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {reason_of(e)}" for e in error.errors())
        values.clear()  # a traceback may show them
        raise InvalidEntityError(f"{self.entity.__name__}: {problems}")

    def encode(self, entity: E, only: Container[str] | None = None) -> dict[str, AttributeValue]:
        """The known attributes that have a value, by their names on disk; without key, version and indexes.

        `only`: those of these names on disk. Raises InvalidEntityError.
        """
        encoded = {}
        for name, on_disk, kind, serialize in self._written:
            value = getattr(entity, name)
            if value is None or (only is not None and on_disk not in only):
                continue
            try:
                if isinstance(value, str) and not value.isascii():
                    check_unicode(value)
                encoded[on_disk] = {kind: value if serialize is None else serialize(value)}
            except ValueError as error:
                raise InvalidEntityError(f"{self.entity.__name__}: {name} {error}") from None
            except (TypeError, AttributeError):  # a value that is not the attribute's, its text unseen
                reason = f"is {type(value).__name__}, which {type(self.attributes[name]).__name__} cannot write"
                raise InvalidEntityError(f"{self.entity.__name__}: {name} {reason}") from None
        return encoded

    def owns(self, item: Mapping[str, AttributeValue]) -> bool:
        """Whether the item's key is one of this kind's."""
        return self.keys.parse(key_of(item)) is not None

    def decode(self, item: Item, table: str | None = None, *, identity: Mapping[str, Any] | None = None) -> E:
        """The entity in an item; ItemDecodeError, naming the attribute, when it is not one.

        `identity` is what the key is known to say, for an item that was decoded before.
        """
        if identity is None:
            identity = self.keys.parse(Key(item["PK"]["S"], item["SK"]["S"]))
        if identity is None:
            raise self._broken(item, table, None, "PK, SK", f"are not a key of a {self.entity.__name__}")
        entity = self.reading.entity(item, identity)
        if entity is None:
            entity = self._read_by_parts(item, identity, table)
        try:
            _set(entity, "_origin", self.origin(item))
        except ValueError as error:
            raise self._broken(item, table, identity, VERSION, str(error)) from None
        return entity

    def _broken(
        self, item: Item, table: str | None, identity: Mapping[str, Any] | None, attribute: str, reason: str
    ) -> ItemDecodeError:
        key = key_of(item)
        error = ItemDecodeError(table or self.table, reason, pk=key.pk, sk=key.sk, attribute=attribute)
        error.mending = self._mending(identity) if table and identity else ""
        return error

    def _mending(self, identity: Mapping[str, Any]) -> str:
        """What mends an item that cannot be read, for its error to say."""
        if not self.commands:
            return ""
        named = {name: shlex.quote(str(value)) for name, value in identity.items()}
        return f"{' or '.join(f'`bluestar-store {text.format(**named)}`' for text in self.commands)} mends it"

    def origin(self, item: Item) -> Origin:
        """What an entity remembers of its item. ValueError for a version that is none."""
        text = item[VERSION].get("N", "") if VERSION in item else "0"
        usual = text.isdecimal() and text.isascii() and len(text) < MAX_DIGITS
        version = int(text) if usual else version_of(item)
        return Origin(item, version, NOTHING if self._own.issuperset(item) else self._extra(item))

    def _read_by_parts(self, item: Item, identity: Mapping[str, Any], table: str | None) -> E:
        """The entity, value by value, or what is wrong with the first that is no value of its field."""
        values: dict[str, Any] = {}
        for name, on_disk, kind, deserialize in self._read:
            wire = item.get(on_disk)
            if wire is None or "NULL" in wire:
                continue
            if kind != BINARY and is_ciphertext(wire):
                key = key_of(item)
                error = EncryptedValueError(
                    table or self.table, why_unreadable(wire), pk=key.pk, sk=key.sk, attribute=on_disk
                )
                error.is_lost = isinstance(wire, SealedValue) and wire.is_lost
                raise error
            try:
                content = content_of(wire, kind)
                values[name] = content if deserialize is None else deserialize(content)
            except (ValueError, TypeError, ArithmeticError) as error:
                raise self._broken(item, table, identity, on_disk, str(error)) from None
            if name in identity and values[name] != identity[name]:
                raise self._broken(item, table, identity, on_disk, f"is {values[name]}, the key says {identity[name]}")
        values |= identity
        try:
            return self.entity.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            on_disk = self.attributes[name].attr_name if name in self.attributes else name
            raise self._broken(item, table, identity, on_disk, reason_of(first)) from None

    def _extra(self, item: Item) -> Mapping[str, Any]:
        known = self._known
        unknown = [name for name in item if name not in known and not name.startswith(OWN_PREFIX)]
        return immutabledict({name: from_wire(item[name]) for name in sorted(unknown)}) if unknown else NOTHING


class Reading(Generic[E]):
    """How items become one entity. `attributes` are those that are read of an item, `identity` what the key says."""

    def __init__(self, entity: type[E], attributes: Mapping[str, Attribute[Any]], identity: Collection[str]) -> None:
        self._entity = entity
        self._names = frozenset(attribute.attr_name for name, attribute in attributes.items() if name not in identity)
        self._again = tuple((name, attribute.attr_name) for name, attribute in attributes.items() if name in identity)
        self._keyed = len(identity)
        self._validator = _validator(entity, attributes, identity)
        self._has_bytes = any(attribute.attr_type in (BINARY, BINARY_SET) for attribute in attributes.values())
        read = sorted((name, one.attr_name, one.attr_type, type(one).__qualname__) for name, one in attributes.items())
        self.form = sha256(repr((sorted(identity), read)).encode()).hexdigest()[:16]
        """Names what is read, where and as what: an item that is as usual to one form is so wherever it is read."""

    def entity(self, item: Item, identity: Mapping[str, Any]) -> E | None:
        """The entity in an item, not yet knowing where it was read; None for what is not as usual."""
        if self._validator is None or KEY in item:
            return None
        try:
            values, _, given = self._validator.validate_python({**item, KEY: identity})
        except (ValueError, TypeError, ArithmeticError):
            return None
        if len(given) - self._keyed != len(self._names & item.keys()):
            return None  # something was not at its path
        for name, on_disk in self._again:
            if on_disk in item and item[on_disk] != {"N": str(values[name])}:
                return None
        return _made(self._entity, values, given, None)

    def from_json(self, data: bytes, origin: Origin) -> E | None:
        """The entity in the JSON of an item with its identity under KEY, known to be as usual to this form.

        None for one that has bytes, which are text in JSON.
        """
        if self._validator is None or self._has_bytes:
            return None
        values, _, given = self._validator.validate_json(data)
        return _made(self._entity, values, given, origin)


def _made(entity: type[E], values: dict[str, Any], given: set[str], origin: Origin | None) -> E:
    """As pydantic's own constructor does with values that it has validated."""
    made = entity.__new__(entity)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", given)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    _set(made, "_origin", origin)
    return made


def _validator(
    entity: type[Entity], attributes: Mapping[str, Attribute[Any]], identity: Collection[str]
) -> SchemaValidator | None:
    """What gives an item's values and the names of those that were given; None for an entity it cannot be made for.

    That is one with validators or private attributes of its own as a whole, or of a pydantic that builds otherwise.
    """
    schema: Any = entity.__pydantic_core_schema__
    try:
        fields = schema["schema"]
        usual = (schema["type"], fields["type"], schema["custom_init"]) == ("model", "model-fields", False)
        if not usual or "post_init" in schema or entity.__private_attributes__:
            return None
        paths = {
            name: _at_key(name, field) if name in identity else _at(attributes[name], field)
            for name, field in fields["fields"].items()
        }
        config = {**schema.get("config", {}), "extra_fields_behavior": "ignore"}
        return SchemaValidator({"type": "model-fields", "fields": paths}, config)  # type: ignore[arg-type]  # a copy of one
    except (KeyError, TypeError, SchemaError):
        return None


def _at_key(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    return {**field, "validation_alias": [KEY, name]}


def _at(attribute: Attribute[Any], field: Mapping[str, Any]) -> dict[str, Any]:
    """A field that looks for its value on disk. A default stays outermost: it stands for what is not there."""
    schema = field["schema"]
    if schema["type"] == "default":
        schema = {**schema, "schema": _deserialized(attribute, schema["schema"])}
    else:
        schema = _deserialized(attribute, schema)
    return {**field, "schema": schema, "validation_alias": [attribute.attr_name, attribute.attr_type]}


def _deserialized(attribute: Attribute[Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if type(attribute).deserialize in (Attribute.deserialize, BooleanAttribute.deserialize):
        return schema  # the value on disk is the value
    if type(attribute) is DecimalAttribute and _before(schema) is exact_number:
        return schema  # it reads text itself
    return {
        "type": "function-before",
        "function": {"type": "no-info", "function": attribute.deserialize},
        "schema": schema,
    }


def _before(schema: Mapping[str, Any]) -> Any:
    """The validator that a value, or a value that may be None, comes to first; None where there is none."""
    if schema["type"] == "nullable":
        schema = schema["schema"]
    return schema["function"]["function"] if schema["type"] == "function-before" else None


def _is_plain(attribute: Attribute[Any]) -> bool:
    return type(attribute).deserialize is Attribute.deserialize


def _is_text(attribute: Attribute[Any]) -> bool:
    return type(attribute) is UnicodeAttribute


def reason_of(error: Any) -> str:
    """What pydantic found, without the value: it may be a bank number."""
    message: str = error["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input ")
