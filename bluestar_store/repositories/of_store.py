"""The repositories that a Store has as attributes, made as their kinds are declared."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bluestar_store.errors import ConfigurationError
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.repositories.base import Reader, Repository
from bluestar_store.repositories.open_store import OpenStore


def repository_of(store: OpenStore, mapper: Mapper[Any]) -> Reader[Any]:
    """The repository that a kind's mapper names, else a plain one. Raises ConfigurationError."""
    if mapper.repository is None:
        return Repository(store.sessions, mapper)
    module, _, name = mapper.repository.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever a module of a user's raises
        raise ConfigurationError(
            f"kind {mapper.name}: its repository {mapper.repository!r} cannot be imported ({type(error).__name__}: "
            f"{error}); it names a module that Python finds, and a class in it: payroll.calendar:CalendarRepository"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Reader)):
        raise ConfigurationError(f"kind {mapper.name}: {mapper.repository!r} is no subclass of Repository")
    made: Reader[Any] = found(store)  # type: ignore[arg-type,call-arg]  # its own way to be made
    return made
