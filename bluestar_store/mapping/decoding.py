"""An entity's values straight from a wire item, in one call of pydantic's core: the way of nearly every item.

pydantic's own way in needs the values taken out of the item before, by a loop in Python, which takes several times as
long as all of pydantic's work (measured). So the entity's own schema is compiled once more, each field looking for its
value at a path in the item, such as `max_pct` / `N`. What is not as usual (a null, another type, a number that the key
gainsays, any error) this leaves to the ordinary way, which has the words for it: see `Mapper.decode`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, Generic, TypeVar

from pydantic_core import SchemaError, SchemaValidator
from pynamodb.attributes import Attribute, BooleanAttribute
from pynamodb.constants import BINARY, BINARY_SET

from bluestar_store.mapping.attributes import DecimalAttribute
from bluestar_store.mapping.entity import Entity, Origin
from bluestar_store.mapping.values import exact_number
from bluestar_store.protocols import Item

E = TypeVar("E", bound=Entity)

_set = object.__setattr__

KEY = "#"
"""Where the values that the key says are put beside the attributes: no identifier, so no field's attribute."""


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
