"""The generic repository: cached reads of items and partitions, versioned writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from bluestar_store.errors import (
    AlreadyExistsError,
    BlueStarError,
    ConflictError,
    ItemDecodeError,
    PipelineChangingError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.models.entity import Entity
from bluestar_store.models.kind import Kind
from bluestar_store.protocols import Item
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.changes import Change, PutExpectation, ambiguous, delete_change, put_change

E = TypeVar("E", bound=Entity)
V = TypeVar("V")

PUT_ATTEMPTS = 8
"""Tries of a put that expects nothing, while others write the same item."""


class Unit(NamedTuple):
    """What a cache keeps as one: an item of a kind, or (`sk` None) all items of a kind in a partition."""

    kind: str
    pk: str
    sk: str | None


class Reader(Generic[E]):
    """Reads of one kind of entity."""

    def __init__(self, access: Access, kind: Kind[E]) -> None:
        self._access, self._kind = access, kind

    @property
    def kind(self) -> Kind[E]:
        """How the entity lies on disk."""
        return self._kind

    def _first(self, keys: Sequence[Key], *, fresh: bool) -> E | None:
        """The entity at the first key that has one; all that is missing from the cache in one BatchGetItem.

        An item that does not decode is an error only when it is the answer: a broken GLOBAL rule does not keep a plan
        from its own.
        """
        units = [Unit(self._kind.name, key.pk, key.sk) for key in keys]
        found = self._access.cache.fetch(units, self._load_items, fresh=fresh)
        for unit in units:
            if (entity := readable(found[unit])) is not None:
                return entity
        return None

    def _load_items(self, units: Sequence[Unit]) -> dict[Unit, E | ItemDecodeError | None]:
        keys = {unit: Key(unit.pk, unit.sk or "") for unit in units}
        items = self._access.engine.get(self._access.table(self._kind), keys.values(), consistent=True)
        return {unit: self._decoded(items[key]) if key in items else None for unit, key in keys.items()}

    def _decoded(self, item: Item) -> E | ItemDecodeError:
        try:
            return self._decode(item)
        except ItemDecodeError as error:
            return error

    def _stored(self, keys: Iterable[Key]) -> dict[Key, E]:
        """The entities found in the table itself, consistently, past every cache."""
        found = self._access.engine.get(self._access.table(self._kind), keys, consistent=True)
        return {key: self._decode(item) for key, item in found.items()}

    def _partitions(self, pks: Sequence[str], *, fresh: bool) -> list[tuple[E, ...] | BlueStarError]:
        """The entities of each partition, in order, or why it cannot be read (see `readable`).

        What is missing from the cache is queried at once.
        """
        units = [Unit(self._kind.name, pk, None) for pk in pks]
        found = self._access.cache.fetch(units, self._load_partitions, fresh=fresh)
        return [found[unit] for unit in units]

    def _load_partitions(self, units: Sequence[Unit]) -> dict[Unit, tuple[E, ...] | BlueStarError]:
        answers = self._access.together([partial(self._loaded, unit.pk) for unit in units])
        return dict(zip(units, answers, strict=True))

    def _loaded(self, pk: str) -> tuple[E, ...] | BlueStarError:
        try:
            return self._load(pk)
        except (ItemDecodeError, PipelineChangingError) as error:
            return error

    def _load(self, pk: str) -> tuple[E, ...]:
        """One partition from the engine."""
        return self._in_order(self._access.partition(self._kind, pk))

    def _in_order(self, items: Iterable[Item]) -> tuple[E, ...]:
        return in_order(self._access, self._kind, items)

    def _decode(self, item: Item) -> E:
        return self._kind.decode(item, self._access.table(self._kind))

    def _written(self, plan: Callable[[], Change]) -> Change:
        """Plan and write a change; when a write that expected nothing met another one, plan again."""
        retrying = Retrying(
            retry=retry_if_exception(_is_unsettled),
            stop=stop_after_attempt(PUT_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.01, max=0.5),
            reraise=True,
        )
        change: Change = retrying(self._attempt, plan)
        return change

    def _attempt(self, plan: Callable[[], Change]) -> Change:
        change = plan()
        try:
            with self._access.cache.writing(self._units(change.write.key)):
                self._access.engine.write(change.write)
        except ConflictError as error:
            error.settled = change.settled
            raise
        return change

    def _units(self, key: Key) -> tuple[Unit, ...]:
        """Every unit that a write of this item touches."""
        return Unit(self._kind.name, key.pk, key.sk), Unit(self._kind.name, key.pk, None)

    def _missing(self, what: str) -> Exception:
        return self._kind.missing(f"{what} in {self._access.table(self._kind)}")


def readable(value: V | BlueStarError) -> V:
    """The value, or its error raised."""
    if isinstance(value, BlueStarError):
        raise value
    return value


class Repository(Reader[E]):
    """Reads, and versioned writes of single items."""

    def current(self, entities: Iterable[E]) -> dict[Key, E]:
        """What is stored of the same identities, by the key that the library builds; read consistently.

        Missing ones are left out. For comparing many at once: a hundred in one call, a partition at a time where the
        key has a number.
        """
        kind = self._kind
        keys = [kind.keys.build(kind.identity(entity)) for entity in entities]
        if not kind.keys.sort.numbers:
            return self._stored(keys)
        pks = list(dict.fromkeys(key.pk for key in keys))
        partitions = self._access.together([partial(self._load, pk) for pk in pks])
        stored = {kind.keys.build(kind.identity(entity)): entity for found in partitions for entity in found}
        return {key: stored[key] for key in keys if key in stored}

    def put(self, entity: E, expected: PutExpectation = None) -> E:
        """Write what the entity knows, and nothing else on the item; returns it as stored, with its new version.

        An entity that was read is checked against the version it was read at, and changes only the attributes that
        differ; a fresh one is created, or overwrites the known attributes of what is there. `expected` says otherwise:
        ABSENT, ANY, or a version. Raises InvalidEntityError, InvalidKeyError, AlreadyExistsError,
        VersionConflictError (also when the item was deleted meanwhile), EngineError.
        """
        change = self._written(lambda: put_change(self._access, self._kind, entity, expected))
        return self._decode(change.after)

    def delete(self, entity: E, expected: PutExpectation = None) -> None:
        """Delete the entity's item; one that was read is checked against its version.

        Deleting what is not there is no error for a fresh entity (or ANY), else a VersionConflictError.
        """
        self._written(lambda: delete_change(self._access, self._kind, entity, expected))


def in_order(access: Access, kind: Kind[E], items: Iterable[Item]) -> tuple[E, ...]:
    """Decoded, by number where the sort key has one: raw keys of other widths sort otherwise.

    ItemDecodeError for two items of one number.
    """
    table = access.table(kind)
    entities = [kind.decode(item, table) for item in items]
    numbers = sorted(kind.keys.sort.numbers)
    if numbers:
        entities.sort(key=lambda entity: getattr(entity, numbers[0]))
        for one, other in pairwise(entities):
            if getattr(one, numbers[0]) == getattr(other, numbers[0]) and one.origin and other.origin:
                raise ambiguous(table, one.origin.key, other.origin.key)
    return tuple(entities)


def _is_unsettled(error: BaseException) -> bool:
    return isinstance(error, AlreadyExistsError | VersionConflictError) and not error.settled
