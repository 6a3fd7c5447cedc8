"""Users' own kinds of items: checked before a Store takes them, so that they cannot get in the way of the others'."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from itertools import product
from typing import Any, get_args, get_origin

from bluestar_store.errors import ConfigurationError
from bluestar_store.keys import ItemKeys, KeyTemplate
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.entity import Entity
from bluestar_store.models.indexes import BY_LEVEL
from bluestar_store.models.kind import ItemModel, Kind
from bluestar_store.models.tables import KINDS

EXTENSIBLE = (CLIENT_CONFIG, ACH_CONFIG)
"""Kinds whose entity users may give fields of their own."""


def with_kinds(own: Iterable[Kind[Any]]) -> tuple[Kind[Any], ...]:
    """The library's kinds, and users' own behind them; an extended configuration stands in place of the plain one.

    ConfigurationError, naming the kind, for one that would be mistaken for another or cannot be stored.
    """
    kinds = {kind.name: kind for kind in KINDS}
    added = list(own)
    for kind in added:
        _check_whole(kind)
        plain = kinds.get(kind.name)
        if plain is None:
            _check_apart(kind, kinds.values())
        elif not _extends(kind, plain):
            raise ConfigurationError(
                f"kind {kind.name}: there is a kind of this name already; only ClientConfig and AchConfig can be "
                "extended, by CLIENT_CONFIG.extended(...) and ACH_CONFIG.extended(...), and each once"
            )
        kinds[kind.name] = kind
    return tuple(kinds.values())


def kinds_named(names: Iterable[str]) -> tuple[Kind[Any], ...]:
    """The kinds that `module:NAME` mean: each a Kind, or a tuple or list of them. Raises ConfigurationError."""
    found: list[Kind[Any]] = []
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            value = getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(
                f"BLUESTAR_KINDS: {name!r} cannot be imported ({error}); it names a module that Python finds, and a "
                "Kind or a tuple of Kinds in it: payroll.calendar:CALENDAR"
            ) from error
        kinds = [value] if isinstance(value, Kind) else value
        if not isinstance(kinds, list | tuple) or not all(isinstance(kind, Kind) for kind in kinds):
            raise ConfigurationError(f"BLUESTAR_KINDS: {name!r} is no Kind, nor a tuple of Kinds")
        found += kinds
    return tuple(found)


def _extends(kind: Kind[Any], plain: Kind[Any]) -> bool:
    same_place = (kind.table, kind.keys, kind.rule_list) == (plain.table, plain.keys, plain.rule_list)
    return (
        any(plain is one for one in EXTENSIBLE)
        and same_place
        and issubclass(kind.entity, plain.entity)
        and issubclass(kind.model, plain.model)
    )


def _check_whole(kind: Kind[Any]) -> None:
    """Whether entity, Model and keys fit each other."""

    def wrong(what: str) -> ConfigurationError:
        return ConfigurationError(f"kind {kind.name}: {what}")

    if not issubclass(kind.entity, Entity) or not issubclass(kind.model, ItemModel):
        raise wrong("its entity must be a subclass of Entity, its Model one of ItemModel or LevelModel")
    fields, attributes = set(kind.entity.model_fields), set(kind.model.get_attributes())
    if missing := fields - attributes:
        raise wrong(f"{kind.model.__name__} has no attribute for {', '.join(sorted(missing))}")
    if missing := set(kind.keys.fields) - fields:
        raise wrong(f"{kind.entity.__name__} has no field {', '.join(sorted(missing))}, which its key names")
    if not isinstance(getattr(getattr(kind.model, "Meta", None), "table_name", None), str):
        raise wrong(f"{kind.model.__name__}.Meta needs a table_name, without prefix and suffix")
    if mutable := [name for name, field in kind.entity.model_fields.items() if _is_mutable(field.annotation)]:
        raise wrong(f"{', '.join(mutable)} could be changed by whoever reads it; take a tuple, TextMap or Document")
    for template in (kind.keys.sort, *(template for template, _ in kind.keys.forms)):
        if (reason := template.ambiguity) is not None:
            raise wrong(f"key {template.text!r}: {reason}")
    if BY_LEVEL in kind.index_names and "plan_id" not in kind.keys.fields:
        raise wrong("a LevelModel is for kinds whose key has a plan_id; take ItemModel")


def _is_mutable(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, list | dict | set | bytearray):
        return True
    return get_origin(annotation) in (list, dict, set) or any(map(_is_mutable, get_args(annotation)))


def _check_apart(kind: Kind[Any], others: Iterable[Kind[Any]]) -> None:
    """No key may be of two kinds, and no query for one find another: in layout `single` all lie in one table."""
    for other in others:
        if _may_meet(kind.keys, other.keys):
            raise ConfigurationError(
                f"kind {kind.name}: its keys can be those of {other.name}, in layout single at least; let its sort "
                f"key begin otherwise than with {other.keys.sort.prefix!r}, nor with a part of it"
            )
        if kind.entity is other.entity:
            raise ConfigurationError(f"kind {kind.name}: {kind.entity.__name__} is the entity of {other.name} already")


def _may_meet(one: ItemKeys, other: ItemKeys) -> bool:
    if not _begin_alike(one.sort, other.sort):
        return False
    return any(_begin_alike(a, b) for (a, _), (b, _) in product(one.forms, other.forms))


def _begin_alike(one: KeyTemplate, other: KeyTemplate) -> bool:
    return one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
