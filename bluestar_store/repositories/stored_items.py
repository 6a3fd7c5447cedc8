"""What is stored of entities' identities: read consistently, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from bluestar_store.errors import ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import Item, Place, key_of
from bluestar_store.repositories.session import Session

E = TypeVar("E", bound=Entity)


class Wanted(NamedTuple):
    """The item of an identity; of `key`, where that is known: how a number is spelled there."""

    mapper: Mapper[Any]
    identity: Mapping[str, Any]
    key: Key | None = None

    @classmethod
    def of(cls, mapper: Mapper[E], entity: E) -> Wanted:
        """The item of an entity's identity."""
        return cls(mapper, mapper.identity(entity))


def stored_items(session: Session, wanted: Sequence[Wanted]) -> list[Item | None]:
    """What is stored of each, None where nothing is; one round trip where the engine has one for all of them.

    Each is read consistently, but not all as of one moment.
    """
    places: list[Place] = []
    known: list[Place] = []
    reads: list[Callable[[], dict[Place, Item]]] = []
    for mapper, identity, key in wanted:
        place = session.table(mapper), key or mapper.keys.build(identity)
        places.append(place)
        if key is None and mapper.keys.sort.numbers:
            reads.append(partial(_by_number, session, mapper, identity, place))
        else:
            known.append(place)
    found: dict[Place, Item] = {}
    for items in session.together([*session.reads(known), *reads]):
        found |= items
    return [found.get(place) for place in places]


def current_item(session: Session, mapper: Mapper[E], entity: E) -> Item | None:
    """The stored item of the same identity, read consistently, whatever the width of the number in its key."""
    return stored_items(session, [Wanted.of(mapper, entity)])[0]


def _by_number(session: Session, mapper: Mapper[Any], identity: Mapping[str, Any], place: Place) -> dict[Place, Item]:
    """The item whose key has the same number, however that is spelled, as if it lay at the place.

    It is looked for by a query, which may be behind a transaction; a step that is done again makes sure.
    """
    table, key = place
    found = [item for item in session.partition(mapper, key.pk) if mapper.keys.parse(key_of(item)) == identity]
    if session.needs_isolated_read():
        found = list(session.engine.get_isolated(table, dict.fromkeys((key, *map(key_of, found)))).values())
    if len(found) > 1:
        raise ambiguous(table, key_of(found[0]), key_of(found[1]))
    return {place: found[0]} if found else {}


def ambiguous(table: str, one: Key, other: Key) -> ItemDecodeError:
    """The error for two items of one identity, `STEP#100` beside `STEP#0100`: neither can be preferred."""
    reason = f"has the same number as SK={other.sk!r}; delete one of them"
    return ItemDecodeError(table, reason, pk=one.pk, sk=one.sk, attribute="SK")
