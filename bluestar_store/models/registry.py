"""The kinds of items that there are: the library's own and users', registered by one function and by the same checks.

A kind is declared in one place, its Mapper: `bluestar_store.mapping.mapper`. Everything that lists kinds asks a Store's
`tables.kinds`, or `KINDS` where there is no Store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import Any

from bluestar_store.errors import ConfigurationError
from bluestar_store.keys import ItemKeys, KeyTemplate
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.wholeness import check_extension, check_whole

BUILT_IN = (
    "bluestar_store.models.pipeline:PIPELINE_STEP",
    "bluestar_store.models.validation:VALIDATION_RULE",
    "bluestar_store.models.calculation:CALCULATION_RULE",
    "bluestar_store.models.limits:IRS_LIMITS",
    "bluestar_store.models.config:CLIENT_CONFIG",
    "bluestar_store.models.config:ACH_CONFIG",
    "bluestar_store.models.plan_keys:PLAN_KEY",
    "bluestar_store.models.vendor:VENDOR_SCHEMA",
    "bluestar_store.models.holds:PLAN_HOLD",
    "bluestar_store.models.holds:HOLD_GUARD",
    "bluestar_store.models.batches:BATCH_STATE",
    "bluestar_store.models.batches:BATCH_RULES",
    "bluestar_store.models.batches:STEP_RESULT",
    "bluestar_store.models.batches:STEP_CLAIM",
    "bluestar_store.models.audit:CHAIN_HEAD",
    "bluestar_store.models.audit:AUDIT_ENTRY",
    "bluestar_store.models.free_form:FREE_STATE",
    "bluestar_store.models.free_form:FREE_RESULT",
)
"""The library's own kinds, table by table, named as BLUESTAR_KINDS names users': one line registers one more."""


def kinds_named(names: Iterable[str]) -> tuple[Mapper[Any], ...]:
    """The kinds that `module:NAME` mean: each a Mapper, or a tuple or list of them. Raises ConfigurationError."""
    found: list[Mapper[Any]] = []
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            value = getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:  # whatever a module of a user's raises
            raise ConfigurationError(
                f"BLUESTAR_KINDS: {name!r} cannot be imported ({type(error).__name__}: {error}); it names a "
                "module that Python finds, and a Mapper or a tuple of Mappers in it: payroll.calendar:CALENDAR"
            ) from error
        kinds = [value] if isinstance(value, Mapper) else value
        if not isinstance(kinds, list | tuple) or not all(isinstance(kind, Mapper) for kind in kinds):
            raise ConfigurationError(f"BLUESTAR_KINDS: {name!r} is no Mapper, nor a tuple of Mappers")
        found += kinds
    return tuple(found)


def registered(known: Sequence[Mapper[Any]], added: Iterable[Mapper[Any]]) -> tuple[Mapper[Any], ...]:
    """The known kinds, and those that are added behind them; an extended kind stands in place of the plain one.

    ConfigurationError, naming the kind, for one that would be mistaken for another or cannot be stored.
    """
    kinds = {mapper.name: mapper for mapper in known}
    for mapper in added:
        plain = kinds.get(mapper.name)
        if mapper is plain:  # named by BLUESTAR_KINDS and given to Store.open besides
            continue
        check_whole(mapper)
        if plain is None:
            _check_apart(mapper, kinds.values())
        elif not _extends(mapper, plain):
            raise ConfigurationError(
                f"kind {mapper.name}: there is a kind of this name already; only ClientConfig and AchConfig can be "
                "extended, by CLIENT_CONFIG.extended(...) and ACH_CONFIG.extended(...), and each once"
            )
        else:
            check_extension(mapper, plain)
        kinds[mapper.name] = mapper
    return tuple(kinds.values())


def with_kinds(own: Iterable[Mapper[Any]]) -> tuple[Mapper[Any], ...]:
    """The library's kinds, and users' own behind them. Raises ConfigurationError; see `registered`."""
    return registered(KINDS, own)


def _extends(mapper: Mapper[Any], plain: Mapper[Any]) -> bool:
    return (
        plain.extensible
        and replace(mapper, entity=plain.entity, model=plain.model, extensible=True) == plain
        and issubclass(mapper.entity, plain.entity)
        and issubclass(mapper.model, plain.model)
    )


def _check_apart(mapper: Mapper[Any], others: Iterable[Mapper[Any]]) -> None:
    """No key may be of two kinds, and no query for one find another: in layout `single` all lie in one table."""
    for other in others:
        if _may_meet(mapper.keys, other.keys):
            raise ConfigurationError(
                f"kind {mapper.name}: its keys can be those of {other.name}, in layout single at least; let its sort "
                f"key begin otherwise than with {other.keys.sort.prefix!r}, nor with a part of it"
            )
        if mapper.rule_list is not None and (mapper.table, mapper.rule_list) == (other.table, other.rule_list):
            raise ConfigurationError(
                f"kind {mapper.name}: rule_list {mapper.rule_list} of {mapper.table}.json is that of {other.name} "
                "already"
            )
        if mapper.entity is other.entity:
            raise ConfigurationError(
                f"kind {mapper.name}: {mapper.entity.__name__} is the entity of {other.name} already"
            )


def _may_meet(one: ItemKeys, other: ItemKeys) -> bool:
    if not _begin_alike(one.sort, other.sort):
        return False
    return any(_begin_alike(a, b) for (a, _), (b, _) in product(one.forms, other.forms))


def _begin_alike(one: KeyTemplate, other: KeyTemplate) -> bool:
    return one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)


KINDS = registered((), kinds_named(BUILT_IN))
"""Every kind of item that the library has, table by table."""
