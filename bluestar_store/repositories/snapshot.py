"""A plan's snapshot: everything that a batch needs, read consistently, with digests that are equal on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from immutabledict import immutabledict

from bluestar_store.errors import (
    EncryptedValueError,
    LimitsNotFoundError,
    PipelineChangingError,
    PipelineNotFoundError,
)
from bluestar_store.keys import DEFAULT, GLOBAL, Key, check_plan
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.canonical import digest
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.indexes import BY_LEVEL, level_prefix
from bluestar_store.mapping.mapper import OTHERS, Mapper
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.registry import KINDS
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.protocols import Item, Place, key_of
from bluestar_store.repositories.base import in_order
from bluestar_store.repositories.calculation_rules import merged
from bluestar_store.repositories.digests import Digests
from bluestar_store.repositories.index_reader import IndexReader
from bluestar_store.repositories.inherited import inherited
from bluestar_store.repositories.moments import Found, KeyRange, read_as_one
from bluestar_store.repositories.pipelines import PipelineRepository
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import HasSessions
from bluestar_store.repositories.validation_rules import applying

E = TypeVar("E", bound=Entity)
C = TypeVar("C", bound=PlanEntity)


@dataclass(frozen=True)
class PlanSnapshot:
    """What a batch of a plan runs under. Immutable, and the same on every engine and in every layout.

    `item_digests` has a digest for each item that contributes, by `{table}/{PK}/{SK}` with keys as the library builds
    them; `digest` covers them all. Both leave out versions and spell numbers in one way. The digest of a bank account,
    and of what has an attribute that is shown masked, takes the store's key and names it (`hmac-sha256:{key}:{hex}`):
    it compares with those of stores that have the same key.
    """

    plan_id: str
    pay_freq: str
    year: int
    steps: tuple[PipelineStep, ...]
    client_config: ClientConfig | None
    ach_config: AchConfig | None
    calculation_rules: Mapping[str, CalculationRule]
    validation_rules: Mapping[str, tuple[ValidationRule, ...]]
    limits: IrsLimits
    item_digests: Mapping[str, str]
    digest: str
    others: Mapping[str, tuple[Entity, ...]] = immutabledict()
    """What applies of further kinds that are `in_snapshot`, by the kind's name."""


@dataclass(frozen=True)
class UnreadableItem:
    """An attribute that cannot be decrypted, and why. `is_lost`: its key was dropped, so that nobody can read it."""

    attribute: str | None
    reason: str
    is_lost: bool


@dataclass(frozen=True)
class PlanContents:
    """What a plan has of all that, whether a batch could run under it or not: see `PlanSnapshot`.

    `damage` says why the steps are not a whole pipeline, but what lies there; else None. `unreadable` has the items
    that count and cannot be decrypted, by `{table}/{PK}/{SK}`.
    """

    plan_id: str
    pay_freq: str
    year: int
    steps: tuple[PipelineStep, ...]
    damage: str | None
    client_config: ClientConfig | None
    ach_config: AchConfig | None
    calculation_rules: Mapping[str, CalculationRule]
    validation_rules: Mapping[str, tuple[ValidationRule, ...]]
    limits: IrsLimits | None
    unreadable: Mapping[str, UnreadableItem]
    digests: Digests = field(repr=False, compare=False)
    others: Mapping[Mapper[Any], tuple[Entity, ...]] = immutabledict()

    @cached_property
    def items(self) -> Mapping[str, tuple[Mapper[Any], Entity]]:
        """Each item that there is, by `{table}/{PK}/{SK}`, sorted."""
        parts = {
            mapper: getattr(self, mapper.in_snapshot) for mapper in KINDS if mapper.in_snapshot not in (None, OTHERS)
        }
        items = {
            _name(mapper, mapper.identity(entity)): (mapper, entity)
            for mapper, part in [*parts.items(), *self.others.items()]
            for entity in _entities_in(part)
        }
        return immutabledict(dict(sorted(items.items())))

    @cached_property
    def item_digests(self) -> Mapping[str, str]:
        """Of each item that there is."""
        pinned = self.digests.pinned
        return immutabledict({name: pinned(kind, entity) for name, (kind, entity) in self.items.items()})

    @cached_property
    def digest(self) -> str:
        """Of them all."""
        return self.digest_of(self.item_digests)

    def digest_of(self, item_digests: Mapping[str, str]) -> str:
        """Of them all, where these are the digests of the items."""
        named = {"plan_id": self.plan_id, "pay_freq": self.pay_freq, "year": self.year}
        return digest({**named, "items": dict(item_digests)})

    def digests_again(self, then: Mapping[str, str]) -> Mapping[str, str | None]:
        """The digest of each item, made with the same key and form as `then`; None if that key is missing."""
        again = self.digests.again
        return dict.fromkeys(self.unreadable) | {
            name: again(kind, entity, then[name]) if name in then else self.digests.pinned(kind, entity)
            for name, (kind, entity) in self.items.items()
        }


def _entities_in(part: Any) -> Iterator[Entity]:
    """The entities of a part of a snapshot: one or none, a tuple of them, or a mapping to such."""
    if isinstance(part, Entity):
        yield part
    elif part is not None:
        for inner in part.values() if isinstance(part, Mapping) else part:
            yield from _entities_in(inner)


class Snapshots:
    """Takes snapshots."""

    def __init__(self, store: HasSessions, index_reader: IndexReader) -> None:
        self._sessions, self._index_reader = store.sessions, index_reader
        self._pipelines = PipelineRepository(store)

    def take(self, plan_id: str, pay_freq: str, year: int) -> PlanSnapshot:
        """See `Store.plan_snapshot`."""
        found = self._contents(plan_id, pay_freq, year, strict=True)
        if found.limits is None:
            raise LimitsNotFoundError(f"no limits for {year} in {self._sessions.table(IRS_LIMITS)}")
        if not found.steps:
            own, default = (
                PIPELINE_STEP.keys.partition({"plan_id": level, "pay_freq": pay_freq}) for level in (plan_id, DEFAULT)
            )
            raise PipelineNotFoundError(f"no pipeline in {own} nor {default} of {self._sessions.table(PIPELINE_STEP)}")
        return PlanSnapshot(
            plan_id,
            pay_freq,
            year,
            found.steps,
            found.client_config,
            found.ach_config,
            found.calculation_rules,
            found.validation_rules,
            found.limits,
            found.item_digests,
            found.digest,
            immutabledict({mapper.name: entities for mapper, entities in found.others.items()}),
        )

    def contents(self, plan_id: str, pay_freq: str, year: int) -> PlanContents:
        """What there is, read as for a snapshot."""
        return self._contents(plan_id, pay_freq, year, strict=False)

    def _contents(self, plan_id: str, pay_freq: str, year: int, *, strict: bool) -> PlanContents:
        """The same; `strict`: raises what keeps a batch from running under it."""
        session = self._sessions.current()
        check_plan(plan_id)
        revisions = [session.revisions.of_level(level) for level in (plan_id, GLOBAL, DEFAULT)]
        while True:
            asked = Asked(session, self._index_reader, plan_id, pay_freq, year)
            found = read_as_one(session, revisions, asked.read, more=asked.misses)
            levels = [(part.pk, found[part]) for part in asked.pipelines]
            steps, damage = self._steps(session, levels, strict=strict)
            if steps is not None:
                break
        configs = [item for part in asked.configs for item in found[part]]
        own_rules, global_rules = (tuple(self._decoded(CALCULATION_RULE, found[part])) for part in asked.rules)
        validation = {
            category: applying(plan_id, *(in_order(session, VALIDATION_RULE, found[part]) for part in parts))
            for category, parts in asked.categories.items()
        }
        unreadable: dict[str, UnreadableItem] | None = None if strict else {}
        return PlanContents(
            plan_id,
            pay_freq,
            year,
            steps=inherited(plan_id, steps),
            damage=damage,
            client_config=self._first(plan_id, session.tables.registered(CLIENT_CONFIG), configs, unreadable),
            ach_config=self._first(plan_id, session.tables.registered(ACH_CONFIG), configs, unreadable),
            calculation_rules=merged(plan_id, global_rules, own_rules),
            validation_rules=immutabledict({category: rules for category, rules in validation.items() if rules}),
            limits=next(iter(self._decoded(IRS_LIMITS, filter(IRS_LIMITS.owns, found[asked.limits]))), None),
            unreadable=unreadable or {},
            digests=session.digests,
            others=immutabledict(
                {
                    mapper: self._laid_over(session, plan_id, mapper, [found[part] for part in parts])
                    for mapper, parts in asked.others.items()
                }
            ),
        )

    def _steps(
        self, session: Session, levels: Iterable[tuple[str, Iterable[Item]]], *, strict: bool
    ) -> tuple[tuple[PipelineStep, ...] | None, str | None]:
        """The plan's own steps, else DEFAULT's; or what lies there of a pipeline that is not whole, and why it is not.

        No steps when a pipeline was being replaced that is whole by now: the rest has to be read again, too.
        """
        for pk, items in levels:
            found = [item for item in items if PIPELINE_STEP.owns(item)]
            try:
                steps = self._pipelines.proved_whole(session, pk, found, settled=True)
            except PipelineChangingError:
                try:
                    self._pipelines.read_until_whole(session, pk)
                except PipelineChangingError as error:
                    if strict:
                        raise
                    return in_order(session, PIPELINE_STEP, found), str(error)
                return None, None
            if steps:
                return steps, None
        return (), None

    def _laid_over(
        self, session: Session, plan_id: str, mapper: Mapper[Any], levels: Iterable[Iterable[Item]]
    ) -> tuple[Entity, ...]:
        """What a plan has of a kind, sorted: what a level has, and the plan's own over it."""
        entities: dict[tuple[Any, ...], Entity] = {}
        for items in levels:
            for entity in in_order(session, mapper, filter(mapper.owns, items)):
                entities[tuple((mapper.identity(entity) | {"plan_id": ""}).values())] = entity
        found = [entities[identity] for identity in sorted(entities)]
        return tuple(
            one.inherited_as(plan_id) if mapper.is_of_plans and mapper.identity(one)["plan_id"] != plan_id else one
            for one in found
        )

    def _decoded(self, mapper: Mapper[E], items: Iterable[Item]) -> list[E]:
        return [mapper.decode(item, self._sessions.table(mapper)) for item in items]

    def _first(
        self, plan_id: str, mapper: Mapper[C], items: Iterable[Item], unreadable: dict[str, UnreadableItem] | None
    ) -> C | None:
        """The plan's own configuration, else DEFAULT's, which it inherits; None for one that is `unreadable` now.

        Raises EncryptedValueError for that one where there is nothing to note it in.
        """
        found = [(mapper.keys.parse(key_of(item)) or {}, item) for item in items if mapper.owns(item)]
        for identity, item in sorted(found, key=lambda one: one[0]["plan_id"] == DEFAULT):
            try:
                return inherited(plan_id, [mapper.decode(item, self._sessions.table(mapper))])[0]
            except EncryptedValueError as error:
                if unreadable is None:
                    raise
                unreadable[_name(mapper, identity)] = UnreadableItem(error.attribute, error.reason, error.is_lost)
                break
        return None


class Asked:
    """What has to be read for a snapshot: its parts, the plan's own before those that it falls back to."""

    def __init__(self, session: Session, index_reader: IndexReader, plan_id: str, pay_freq: str, year: int) -> None:
        self._session, self._index_reader, self._plan_id = session, index_reader, plan_id
        self._listed: set[str] = set()
        levels = [{"plan_id": level, "pay_freq": pay_freq} for level in (plan_id, DEFAULT)]
        self.pipelines = [self._part(PIPELINE_STEP, level) for level in levels]
        # Each by its key: whatever else lies in their partitions would be paid for, too.
        self.configs = [self._part(kind, level) for kind in (CLIENT_CONFIG, ACH_CONFIG) for level in levels]
        self.limits = self._part(IRS_LIMITS, {"year": year})
        self.rules = [self._part(CALCULATION_RULE, {"plan_id": level}) for level in (plan_id, GLOBAL)]
        self.categories: dict[str, list[KeyRange]] = {}
        """The rules of each category, GLOBAL's first."""
        named = {"plan_id": plan_id, "pay_freq": pay_freq, "year": year}
        others = (mapper for mapper in session.tables.kinds if mapper.in_snapshot == OTHERS)
        self.others = {mapper: list(self._levels(mapper, named)) for mapper in others}
        """What there is of further kinds, the level's first."""

    def read(self) -> Found:
        """Everything, in two rounds: which categories there are is known after the first."""
        categories = self._index_reader.calls(
            self._session,
            VALIDATION_RULE,
            BY_LEVEL,
            VALIDATION_RULE.name,
            level_prefix(GLOBAL),
            level_prefix(self._plan_id),
        )
        parts = [*self.pipelines, *self.rules, *(part for levels in self.others.values() for part in levels)]
        single = [partial(self._get, self.configs), partial(self._get, [self.limits])]
        first, others = len(parts), len(parts) + len(single)
        reads: list[Callable[[], Any]] = [*(partial(self._query, part) for part in parts), *single, *categories]
        answers = self._session.together(reads)
        found: dict[KeyRange, list[Item]] = dict(zip(parts, answers, strict=False))
        for one in answers[first:others]:
            found |= one
        self._find_categories(self._index_reader.merged(self._session, VALIDATION_RULE, BY_LEVEL, answers[others:]))
        rules = [part for parts in self.categories.values() for part in parts]
        found |= dict(zip(rules, self._session.together([partial(self._query, part) for part in rules]), strict=True))
        return Found(found)

    def misses(self, place: Place) -> bool:
        """Whether a rule that was changed lately is of a category that no index knew of; the next `read` does."""
        table, key = place
        identity = VALIDATION_RULE.keys.parse(key) if table == self._session.table(VALIDATION_RULE) else None
        if identity is None or identity["plan_id"] not in (GLOBAL, self._plan_id):
            return False
        self._listed.add(identity["category"])
        return identity["category"] not in self.categories

    def _find_categories(self, items: Iterable[Item]) -> None:
        keys = VALIDATION_RULE.keys
        known = [identity for item in items if (identity := keys.parse(key_of(item)))]
        levels = (GLOBAL, self._plan_id)
        names = {identity["category"] for identity in known if identity["plan_id"] in levels} | self._listed
        self.categories = {
            name: [self._part(VALIDATION_RULE, {"category": name, "plan_id": level}) for level in levels]
            for name in sorted(names)
        }

    def _levels(self, mapper: Mapper[Any], named: Mapping[str, Any]) -> Iterator[KeyRange]:
        levels = (mapper.keys.level, self._plan_id) if "plan_id" in mapper.partition_fields else (None,)
        for level in dict.fromkeys(levels):
            if level is not None or len(levels) == 1:
                identity = {name: named[name] for name in mapper.partition_fields}
                yield self._part(mapper, identity if level is None else identity | {"plan_id": level})

    def _part(self, mapper: Mapper[Any], identity: Mapping[str, Any]) -> KeyRange:
        """The kind's items in a partition."""
        return KeyRange(self._session.table(mapper), mapper.keys.partition(dict(identity)), mapper.keys.sort.prefix)

    def _get(self, parts: Sequence[KeyRange]) -> dict[KeyRange, list[Item]]:
        """Those of one table that are one item each, whose sort key is the whole prefix."""
        keys = {part: Key(part.pk, part.prefix) for part in parts}
        items = self._session.engine.get(parts[0].table, list(keys.values()), consistent=True)
        return {part: [items[key]] if key in items else [] for part, key in keys.items()}

    def _query(self, part: KeyRange) -> list[Item]:
        return list(self._session.partition_items(*part))


def _name(mapper: Mapper[Any], identity: Mapping[str, Any]) -> str:
    """What digests call an item: `{table}/{PK}/{SK}`, with its key as the library builds it."""
    key = mapper.keys.build(dict(identity))
    return f"{mapper.table}/{key.pk}/{key.sk}"
