"""The generic repository: cached reads of items and partitions, versioned writes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from types import FunctionType
from typing import Any, Generic, TypeAlias, TypeVar, cast

from bluestar_store.errors import EncryptedValueError
from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import salvaged, without_lost
from bluestar_store.protocols import MISSING, FailedRead, Item
from bluestar_store.protocols.items import chunks
from bluestar_store.redaction.tracebacks import forget_locals, without_locals
from bluestar_store.repositories.cache_answers import first_entity, marked_partitions, readable
from bluestar_store.repositories.changes import (
    PlannedWrite,
    PutExpectation,
    Target,
    delete_change,
    put_change,
    refuse_inherited,
)
from bluestar_store.repositories.inherited import InheritedEntities
from bluestar_store.repositories.moments import ISOLATED_AT_ONCE
from bluestar_store.repositories.session import Session, StoreParts
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.repositories.sources import ItemSource, PartitionSource
from bluestar_store.repositories.stored_items import Wanted, ambiguous, stored_items
from bluestar_store.repositories.trail import record_change, trail_head
from bluestar_store.repositories.transaction import StagedWrites

E = TypeVar("E", bound=Entity)
A = TypeVar("A")

Identity: TypeAlias = tuple[str | int | None, ...]
"""The values of the fields of a key, in their order."""
Plan: TypeAlias = Callable[[Session, Target[E], Item | None], PlannedWrite]
"""`put_change`, `delete_change`, or one of them with rules of its own."""
Rules: TypeAlias = Callable[[Session, PlannedWrite, StagedWrites, Sequence[Any]], None]


class Reader(Generic[E]):
    """Reads of one kind of entity."""

    def __init__(self, sessions: Sessions, mapper: Mapper[E]) -> None:
        self._sessions, self._mapper = sessions, mapper
        self._name, self._of_items, self._of_partitions = mapper.name, (mapper.name,), (f"{mapper.name}*",)
        self._unit_here, self._derived = sessions.unit_here, InheritedEntities(self._inherited)
        self._hot = self._unit_here, sessions.peek, sessions.peek_first, self._of_items, self._derived
        self._plan_at = mapper.keys.fields.index("plan_id") if "plan_id" in mapper.keys.fields else None

    def __init_subclass__(cls, **given: Any) -> None:
        """No error of a public call keeps what is in the items: cached reads see to it where they miss, for speed.

        Those are the calls that have a parameter `fresh`.
        """
        super().__init_subclass__(**given)
        for name, call in list(vars(cls).items()):
            if (
                isinstance(call, FunctionType)
                and not name.startswith("_")
                and "fresh" not in (call.__kwdefaults__ or ())
            ):
                setattr(cls, name, without_locals(call))

    @cached_property
    def _items(self) -> ItemSource[E]:
        """Made when it is needed: opening a Store makes many repositories, and uses few."""
        return ItemSource(self._sessions.outside, self._mapper)

    @cached_property
    def _whole(self) -> PartitionSource[E]:
        return PartitionSource(self._sessions.outside, self._mapper, self.entities)

    @property
    def mapper(self) -> Mapper[E]:
        """How the entity lies on disk."""
        return self._mapper

    @property
    def kind(self) -> Mapper[E]:
        """The old name of `mapper`."""
        warnings.warn("`kind` is `mapper` now", DeprecationWarning, stacklevel=2)
        return self._mapper

    def first(self, identity: Identity, other: Identity | None = None, *, fresh: bool) -> E | None:
        """The entity of the first identity that has one, through the cache; None when neither has, at one moment.

        An identity has the values of the key's fields, in their order. All that is missing from the cache is read in
        one call. An item that does not decode is an error only when it is the answer: a broken GLOBAL rule does
        not keep a plan from its own. What is of another plan than the first identity knows that this one inherits it.
        """
        unit_here, peek, peek_first, of_items, derived = self._hot  # one look at this object, a quarter of a hit
        if not fresh and unit_here() is None:
            try:
                if other is None:
                    found = peek(of_items + identity)
                else:
                    found = peek_first(of_items, identity, other, derived)
                if found is not MISSING:
                    return found  # type: ignore[no-any-return]  # an E or None
            except TypeError:  # suppress() costs half of a hit; what cannot be hashed is refused below
                pass
        cache_keys = [(self._name, *one) for one in (identity, other) if one is not None]
        self._items.check(cache_keys)
        try:
            session = self._sessions.current()
            answers = session.cache_of(self._mapper).fetch(cache_keys, self._items.through(session), fresh=fresh)
            entity: E | None = first_entity(map(answers.__getitem__, cache_keys))  # no more of them than it takes
        except BaseException as error:
            forget_locals(error)
            raise
        return entity if other is None or entity is None else self._inherited(identity, entity)

    def _inherited(self, identity: tuple[Any, ...], found: E) -> E:
        """What was found for an identity: as its plan inherits it, where it is another level's."""
        if self._plan_at is None or getattr(found, "plan_id", None) == (plan_id := identity[self._plan_at]):
            return found
        return found.inherited_as(plan_id)

    def partitions(self, *identities: Identity, fresh: bool) -> Sequence[tuple[E, ...] | FailedRead]:
        """The entities of each partition, in order, or why it cannot be read (see `readable`); through the cache.

        An identity has the values of the partition key's fields. Partitions after one that settles the question are
        left out.
        """
        return (None if fresh else self._here(identities)) or self._fetched(identities, fresh=fresh)

    def _here(self, identities: Sequence[Identity]) -> list[tuple[E, ...]] | None:
        """The answer of `partitions` where all of it is in this process; else None."""
        if self._unit_here() is not None:
            return None
        of_partitions = self._of_partitions
        try:
            return self._sessions.peek_all([of_partitions + one for one in identities], self._whole.settles)
        except TypeError:  # what cannot be hashed is refused later
            return None

    def _fetched(self, identities: Sequence[Identity], *, fresh: bool) -> Sequence[tuple[E, ...] | FailedRead]:
        """The answer of `partitions` by way of the cache."""
        cache_keys = [self._mapper.partition_cache_key(*identity) for identity in identities]
        for cache_key in cache_keys:
            self._whole.pk(cache_key)
        try:
            session = self._sessions.current()
            answers = session.cache_of(self._mapper).fetch(cache_keys, self._whole.through(session), fresh=fresh)
            return marked_partitions([answers[cache_key] for cache_key in cache_keys if cache_key in answers])
        except BaseException as error:
            forget_locals(error)
            raise

    def _laid_over(
        self,
        shared: Identity,
        own: Identity,
        make: Callable[[Sequence[E], Sequence[E]], A],
        *,
        fresh: bool,
    ) -> A:
        """What is made for a plan of a level's partition and of its own, by their identities.

        Made once, while both are in this process.
        """
        found = None if fresh else self._here((shared, own))
        lower, upper = found or map(readable, self._fetched((shared, own), fresh=fresh))
        return self._derived.of(own, lower, upper, make, keep=found is not None)

    @without_locals
    def _stored(self, keys: Iterable[Key]) -> dict[Key, E]:
        """The entities found in the table itself, consistently, past every cache."""
        session = self._sessions.current()
        found = session.engine.get(session.table(self._mapper), keys, consistent=True)
        return {key: self._decode(item) for key, item in found.items()}

    def _after(self, change: PlannedWrite) -> E:
        """The entity that a change of this kind leaves."""
        return cast("E", change.entity_after())

    def reads_of(self, plan_id: str, stored: Sequence[E]) -> Iterator[Callable[[], object]]:
        """The cached reads by which an agent asks for what applies to a plan, to warm a cache with.

        `stored` is what the plan, GLOBAL and DEFAULT have of the kind.
        """
        yield from ()

    def session(self) -> Session:
        """What a call that is made here goes through: a subclass asks once in each of its calls, and hands it on."""
        return self._sessions.current()

    def entities(self, items: Iterable[Item]) -> tuple[E, ...]:
        """The entities of a partition's items, in order; a subclass may decode otherwise. Raises ItemDecodeError."""
        return in_order(self._sessions, self._mapper, items)

    def _decode(self, item: Item) -> E:
        return self._mapper.decode(item, self._sessions.table(self._mapper))

    def _to_put(self, entity: E) -> E:
        """The entity, valid. Raises InheritedRuleError, InvalidEntityError."""
        if entity.inherited_by is not None:
            refuse_inherited(self._sessions, self._mapper, entity)
        return self._mapper.validated(entity)

    def _written(
        self,
        plan: Plan[E],
        entity: E,
        expected: PutExpectation,
        actor: str | None,
        rules: Rules | None = None,
        looks: Sequence[Wanted] = (),
        beside: Callable[[Session], Any] | None = None,
    ) -> PlannedWrite:
        """Plan and write a change of the entity; it is planned again when another write came in between.

        `rules` is told of the change once it is written, in the same step of the unit: it raises what refuses the
        change, and writes what goes with it. It is given what is stored of `looks`, read together with the item, and
        what `beside` gives, a call at the same time.
        """
        mapper = self._mapper
        made: list[PlannedWrite] = []
        with self._sessions.unit(actor) as session:
            target = Target.of(mapper, entity, expected)
            wanted = [target.wanted, *looks]
            records = session.records and mapper.rule_list is not None
            if records:
                wanted.append(trail_head(mapper, target.key.pk))

            def step(session: Session, staged: StagedWrites) -> None:
                others = [] if beside is None else [partial(beside, session)]
                (current, *items), more = session.beside(partial(stored_items, session, wanted), others)
                change = plan(session, target, current)
                write = staged.stage_strict if change.settled else staged.stage_retryable
                write(change.write)
                if records:
                    record_change(session, mapper, change, staged, items.pop())
                if rules is not None:
                    rules(session, change, staged, [*items, *more])
                made[:] = [change]

            session.run_step(step)
        return made[0]

    def not_found(self, what: str) -> Exception:
        """The kind's NotFoundError, which names the table: for a subclass to raise."""
        return self._mapper.missing(f"{what} in {self._sessions.table(self._mapper)}")

    _first, _partitions, _missing = first, partitions, not_found  # as subclasses of users' call them since 0.1.0


class Repository(Reader[E]):
    """Reads, and versioned writes of single items."""

    def levels(self, plan_id: str, like: E) -> list[Identity]:
        """The identities, for `first`, of what applies to a plan in an entity's place: the plan's, then the level's."""
        identity = self._mapper.identity(like)
        return [
            tuple((identity | {"plan_id": level}).values()) for level in (plan_id, self._mapper.keys.level) if level
        ]

    def reads_of(self, plan_id: str, stored: Sequence[E]) -> Iterator[Callable[[], object]]:
        """See Reader: each item that the plan or its level has, or inherits."""
        if self._mapper.is_of_plans and self._mapper.cached and self._mapper.owner is None:
            asked = dict.fromkeys(tuple(self.levels(plan_id, one)) for one in stored)
            yield from (partial(self.first, *levels, fresh=False) for levels in asked)

    def effective(self, plan_id: str, like: Iterable[E]) -> Iterable[E]:
        """What applies to a plan where these do to it or to another, at least: for comparing plans, read consistently.

        The plan's own, else that of the level that the key names.
        """
        named, found = list(like), dict[Identity, E]()
        for level in filter(None, (self._mapper.keys.level, plan_id)):
            at_level = [entity.model_copy(update={"plan_id": level}) for entity in named]
            for entity in self.current(at_level).values():
                identity = self._mapper.identity(entity) | {"plan_id": None}
                found[tuple(identity.values())] = entity
        return found.values()

    def current(self, entities: Iterable[E], *, salvage: bool = False) -> dict[Key, E]:
        """What is stored of the same identities, by the key that the library builds; read consistently.

        Missing ones are left out. For comparing many at once: some in one isolated call, a partition at a time where
        the key has a number. ItemDecodeError for an item that cannot be read; with `salvage`, what can be read of it:
        for whoever mends it (see `mapping.salvage`).
        """
        session, mapper = self._sessions.current(), self._mapper
        decode = salvaged if salvage else Mapper.decode
        keys = [mapper.keys.build(mapper.identity(entity)) for entity in entities]
        if not mapper.keys.sort.numbers:
            calls = [partial(self._isolated, session, some, decode) for some in chunks(keys, ISOLATED_AT_ONCE)]
            return {key: entity for found in session.together(calls) for key, entity in found.items()}
        cache_keys = dict.fromkeys(one for key in keys for one in mapper.partition_cache_keys(key.pk))
        whole = PartitionSource(session, mapper, lambda items: in_order(session, mapper, items, decode))
        partitions = session.together([partial(whole.load, [cache_key]) for cache_key in cache_keys])
        found = [entity for loaded in partitions for answer in loaded.values() for entity in readable(answer)]
        stored = {mapper.keys.build(mapper.identity(entity)): entity for entity in found}
        return {key: stored[key] for key in keys if key in stored}

    def _isolated(
        self, session: Session, keys: Sequence[Key], decode: Callable[[Mapper[E], Item, str], E]
    ) -> dict[Key, E]:
        table = session.table(self._mapper)
        found = session.engine.get_isolated(table, keys)
        return {key: decode(self._mapper, item, table) for key, item in found.items()}

    def put(self, entity: E, expected: PutExpectation = None, *, actor: str | None = None) -> E:
        """Write what the entity knows, and nothing else on the item; returns it as stored, with its new version.

        An entity that was read is checked against what is stored, its version and each attribute that it knows, and
        changes only the attributes that differ; a fresh one is created, or overwrites the known attributes of what is
        there. `expected` says otherwise: ABSENT, ANY, or a version. `actor` is who writes, the setting's where none is
        given. Raises InvalidEntityError, InvalidKeyError, AlreadyExistsError, VersionConflictError (also when the item
        was deleted meanwhile, and made again), EngineError.
        """
        change = self._written(put_change, self._to_put(entity), expected, actor)
        return self._after(change)

    def delete(self, entity: E, expected: PutExpectation = None, *, actor: str | None = None) -> None:
        """Delete the entity's item; one that was read is checked as for `put`.

        Deleting what is not there is no error for a fresh entity (or ANY), else a VersionConflictError. `actor` as for
        `put`.
        """
        self._written(delete_change, entity, expected, actor)


def left_of(repository: Repository[E], error: EncryptedValueError) -> E | None:
    """What is left of the item that an error was raised for, read again; None where it is not there any more.

    Raises the error where the key was not dropped: somebody else may read it.
    """
    mapper = repository.mapper
    identity = mapper.keys.parse(Key(error.pk or "", error.sk or ""))
    if not error.is_lost or identity is None:
        raise error
    return next(iter(repository.current([mapper.entity(**identity)], salvage=True).values()), None)


def owned(parts: StoreParts, mapper: Mapper[E], items: Iterable[Item]) -> tuple[E, ...]:
    """Those of the items whose keys are the kind's, decoded and in order."""
    return in_order(parts, mapper, filter(mapper.owns, items))


def owned_without_lost(parts: StoreParts, mapper: Mapper[E], items: Iterable[Item]) -> tuple[E, ...]:
    """The same, without values that nobody can read again, which `unreadable` of the entity names: of a history."""
    return in_order(parts, mapper, filter(mapper.owns, items), without_lost)


def in_order(
    parts: StoreParts,
    mapper: Mapper[E],
    items: Iterable[Item],
    decode: Callable[[Mapper[E], Item, str], E] = Mapper.decode,
) -> tuple[E, ...]:
    """Decoded, by number where the sort key has one: raw keys of other widths sort otherwise.

    `decode` may be `salvaged` or `without_lost`. ItemDecodeError for two items of one number.
    """
    table = parts.table(mapper)
    entities = [decode(mapper, item, table) for item in items]
    numbers = sorted(mapper.keys.sort.numbers)
    if numbers:
        entities.sort(key=lambda entity: getattr(entity, numbers[0]))
        for one, other in pairwise(entities):
            if getattr(one, numbers[0]) == getattr(other, numbers[0]) and one.origin and other.origin:
                raise ambiguous(table, one.origin.key, other.origin.key)
    return tuple(entities)
