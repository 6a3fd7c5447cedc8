"""Users' own kinds of items: checked before a Store takes them, so that they cannot get in the way of the others'."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import Any

from bluestar_store.errors import ConfigurationError
from bluestar_store.keys import ItemKeys, KeyTemplate
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.kind import Kind
from bluestar_store.models.tables import KINDS
from bluestar_store.models.wholeness import check_extension, check_whole

EXTENSIBLE = (CLIENT_CONFIG, ACH_CONFIG)
"""Kinds whose entity users may give fields of their own."""


def with_kinds(own: Iterable[Kind[Any]]) -> tuple[Kind[Any], ...]:
    """The library's kinds, and users' own behind them; an extended configuration stands in place of the plain one.

    ConfigurationError, naming the kind, for one that would be mistaken for another or cannot be stored.
    """
    kinds = {kind.name: kind for kind in KINDS}
    added = list(own)
    for kind in added:
        plain = kinds.get(kind.name)
        if kind is plain:  # named by BLUESTAR_KINDS and given to Store.open besides
            continue
        check_whole(kind)
        if plain is None:
            _check_apart(kind, kinds.values())
        elif not _extends(kind, plain):
            raise ConfigurationError(
                f"kind {kind.name}: there is a kind of this name already; only ClientConfig and AchConfig can be "
                "extended, by CLIENT_CONFIG.extended(...) and ACH_CONFIG.extended(...), and each once"
            )
        else:
            check_extension(kind, plain)
        kinds[kind.name] = kind
    return tuple(kinds.values())


def kinds_named(names: Iterable[str]) -> tuple[Kind[Any], ...]:
    """The kinds that `module:NAME` mean: each a Kind, or a tuple or list of them. Raises ConfigurationError."""
    found: list[Kind[Any]] = []
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            value = getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:  # whatever a module of a user's raises
            raise ConfigurationError(
                f"BLUESTAR_KINDS: {name!r} cannot be imported ({type(error).__name__}: {error}); it names a "
                "module that Python finds, and a Kind or a tuple of Kinds in it: payroll.calendar:CALENDAR"
            ) from error
        kinds = [value] if isinstance(value, Kind) else value
        if not isinstance(kinds, list | tuple) or not all(isinstance(kind, Kind) for kind in kinds):
            raise ConfigurationError(f"BLUESTAR_KINDS: {name!r} is no Kind, nor a tuple of Kinds")
        found += kinds
    return tuple(found)


def _extends(kind: Kind[Any], plain: Kind[Any]) -> bool:
    return (
        any(plain is one for one in EXTENSIBLE)
        and replace(kind, entity=plain.entity, model=plain.model) == plain
        and issubclass(kind.entity, plain.entity)
        and issubclass(kind.model, plain.model)
    )


def _check_apart(kind: Kind[Any], others: Iterable[Kind[Any]]) -> None:
    """No key may be of two kinds, and no query for one find another: in layout `single` all lie in one table."""
    for other in others:
        if _may_meet(kind.keys, other.keys):
            raise ConfigurationError(
                f"kind {kind.name}: its keys can be those of {other.name}, in layout single at least; let its sort "
                f"key begin otherwise than with {other.keys.sort.prefix!r}, nor with a part of it"
            )
        if kind.rule_list is not None and (kind.table, kind.rule_list) == (other.table, other.rule_list):
            raise ConfigurationError(
                f"kind {kind.name}: rule_list {kind.rule_list} of {kind.table}.json is that of {other.name} already"
            )
        if kind.entity is other.entity:
            raise ConfigurationError(f"kind {kind.name}: {kind.entity.__name__} is the entity of {other.name} already")


def _may_meet(one: ItemKeys, other: ItemKeys) -> bool:
    if not _begin_alike(one.sort, other.sort):
        return False
    return any(_begin_alike(a, b) for (a, _), (b, _) in product(one.forms, other.forms))


def _begin_alike(one: KeyTemplate, other: KeyTemplate) -> bool:
    return one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
