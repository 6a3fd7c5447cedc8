"""Items decoded no further than is needed: nothing else on them can be an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bluestar_store.errors import ItemDecodeError
from bluestar_store.mapping.entity import Entity, Origin
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import Item

E = TypeVar("E", bound=Entity)


def bare(mapper: Mapper[E], item: Item, identity: Mapping[str, Any], *names: str) -> E:
    """An entity that knows its identity and these attributes, as far as they can be read; its origin is the item."""
    read = {name: item[name] for name in ("PK", "SK", *names) if name in item}
    while True:
        try:
            entity = mapper.decode(read, identity=identity)
        except ItemDecodeError as error:
            if error.attribute not in names or read.pop(error.attribute, None) is None:
                raise
        else:
            if (origin := entity.origin) is not None:
                entity.read_from(Origin(item, origin.version, origin.extra))
            return entity
