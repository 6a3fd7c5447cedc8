"""A plan's snapshot: everything a batch needs, read consistently, with digests that are equal on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

from immutabledict import immutabledict

from bluestar_store.errors import LimitsNotFoundError, PipelineChangingError, PipelineNotFoundError
from bluestar_store.keys import DEFAULT, GLOBAL, Key, check_plan
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.canonical import canonical, digest
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.entity import Entity, PlanEntity
from bluestar_store.models.indexes import BY_LEVEL, level_prefix
from bluestar_store.models.kind import Kind
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.base import in_order
from bluestar_store.repositories.calculation_rules import merged
from bluestar_store.repositories.finder import Finder, Found
from bluestar_store.repositories.pipelines import Pipelines
from bluestar_store.repositories.validation_rules import overlaid

E = TypeVar("E", bound=Entity)
C = TypeVar("C", bound=PlanEntity)


@dataclass(frozen=True)
class PlanSnapshot:
    """What a batch of a plan runs under. Immutable, and the same on every engine and in every layout.

    `item_digests` has a digest for each item that contributes, by `{table}/{PK}/{SK}` with keys as the library builds
    them; `digest` covers them all. Both leave out versions and spell numbers in one way.
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


@dataclass(frozen=True)
class PlanContents:
    """What a plan has of all that, whether a batch could run under it or not: see `PlanSnapshot`.

    `damage` is set where the steps are not a whole pipeline, but what lies there.
    """

    plan_id: str
    pay_freq: str
    year: int
    steps: tuple[PipelineStep, ...]
    damage: PipelineChangingError | None
    client_config: ClientConfig | None
    ach_config: AchConfig | None
    calculation_rules: Mapping[str, CalculationRule]
    validation_rules: Mapping[str, tuple[ValidationRule, ...]]
    limits: IrsLimits | None

    @cached_property
    def item_digests(self) -> Mapping[str, str]:
        """Of each item that there is."""
        parts: list[tuple[Kind[Any], Iterable[Entity | None]]] = [
            (PIPELINE_STEP, self.steps),
            (CLIENT_CONFIG, [self.client_config]),
            (ACH_CONFIG, [self.ach_config]),
            (CALCULATION_RULE, self.calculation_rules.values()),
            (VALIDATION_RULE, [rule for rules in self.validation_rules.values() for rule in rules]),
            (IRS_LIMITS, [self.limits]),
        ]
        digests: dict[str, str] = {}
        for kind, entities in parts:
            for entity in entities:
                if entity is not None:
                    key = kind.keys.build(kind.identity(entity))
                    digests[f"{kind.table}/{key.pk}/{key.sk}"] = digest(canonical(entity))
        return immutabledict(dict(sorted(digests.items())))

    @cached_property
    def digest(self) -> str:
        """Of them all."""
        named = {"plan_id": self.plan_id, "pay_freq": self.pay_freq, "year": self.year}
        return digest({**named, "items": dict(self.item_digests)})


class Snapshots:
    """Takes snapshots."""

    def __init__(self, access: Access, finder: Finder, pipelines: Pipelines) -> None:
        self._access, self._finder, self._pipelines = access, finder, pipelines

    def take(self, plan_id: str, pay_freq: str, year: int) -> PlanSnapshot:
        """See `Store.plan_snapshot`."""
        found = self.contents(plan_id, pay_freq, year)
        if found.limits is None:
            raise LimitsNotFoundError(f"no limits for {year} in {self._access.table(IRS_LIMITS)}")
        if found.damage is not None:
            raise found.damage
        if not found.steps:
            own, default = _levels(plan_id, pay_freq)
            raise PipelineNotFoundError(f"no pipeline in {own} nor {default} of {self._access.table(PIPELINE_STEP)}")
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
        )

    def contents(self, plan_id: str, pay_freq: str, year: int) -> PlanContents:
        """What there is, read as for a snapshot."""
        check_plan(plan_id)
        identity = {"plan_id": plan_id, "pay_freq": pay_freq}
        levels = _levels(plan_id, pay_freq)
        rules = [CALCULATION_RULE.keys.partition({"plan_id": level}) for level in (GLOBAL, plan_id)]
        categories = self._finder.calls(
            VALIDATION_RULE, BY_LEVEL, VALIDATION_RULE.name, level_prefix(GLOBAL), level_prefix(plan_id)
        )
        reads: list[Callable[[], Found]] = [
            *(partial(self._frequency, pk) for pk in levels),
            partial(self._configs, identity),
            partial(self._get, IRS_LIMITS, [IRS_LIMITS.keys.build({"year": year})]),
            *(partial(self._partition, CALCULATION_RULE, pk) for pk in rules),
            *categories,
        ]
        own, default, configs, limits, global_rules, own_rules, *found = self._access.together(reads)
        items = self._finder.merged(VALIDATION_RULE, BY_LEVEL, found)
        validation = self._validation(plan_id, items)
        candidates = [*(configs or ()), *(own or ()), *(default or ())]
        steps, damage = self._steps(levels, own or [], default or [])
        return PlanContents(
            plan_id,
            pay_freq,
            year,
            steps=steps,
            damage=damage,
            client_config=self._first(self._access.tables.registered(CLIENT_CONFIG), candidates),
            ach_config=self._first(self._access.tables.registered(ACH_CONFIG), candidates),
            calculation_rules=merged(
                *(tuple(self._decoded(CALCULATION_RULE, level or ())) for level in (global_rules, own_rules))
            ),
            validation_rules=validation,
            limits=next(iter(self._decoded(IRS_LIMITS, limits or ())), None),
        )

    def _frequency(self, pk: str) -> list[Item]:
        """The steps of a pipeline; where configs lie in the same table, they come along from the same partition."""
        prefix = "" if self._configs_beside_steps else PIPELINE_STEP.keys.sort.prefix
        return list(self._access.partition_items(self._access.table(PIPELINE_STEP), pk, prefix))

    @property
    def _configs_beside_steps(self) -> bool:
        return self._access.table(PIPELINE_STEP) == self._access.table(CLIENT_CONFIG)

    def _configs(self, identity: dict[str, str]) -> list[Item]:
        if self._configs_beside_steps:
            return []
        levels = [identity, identity | {"plan_id": DEFAULT}]
        keys = [kind.keys.build(level) for kind in (CLIENT_CONFIG, ACH_CONFIG) for level in levels]
        return self._get(CLIENT_CONFIG, keys)

    def _get(self, kind: Kind[Any], keys: Iterable[Key]) -> list[Item]:
        return list(self._access.engine.get(self._access.table(kind), keys, consistent=True).values())

    def _partition(self, kind: Kind[Any], pk: str) -> list[Item]:
        return self._access.partition(kind, pk)

    def _steps(
        self, pks: Sequence[str], own: list[Item], default: list[Item]
    ) -> tuple[tuple[PipelineStep, ...], PipelineChangingError | None]:
        """The plan's own steps, else DEFAULT's; with an error, what lies there of a pipeline that is not whole."""
        for pk, items in zip(pks, (own, default), strict=True):
            found = [item for item in items if PIPELINE_STEP.owns(item)]
            try:
                steps = self._pipelines.whole(pk, found)
            except PipelineChangingError as error:
                return in_order(self._access, PIPELINE_STEP, found), error
            if steps:
                return steps, None
        return (), None

    def _validation(self, plan_id: str, items: Iterable[Item]) -> Mapping[str, tuple[ValidationRule, ...]]:
        """The overlaid rules of every category that the index or a scan found, each read from the table itself."""
        keys = VALIDATION_RULE.keys
        found = [identity for item in items if (identity := keys.parse(key_of(item)))]
        categories = sorted({i["category"] for i in found if i["plan_id"] in (GLOBAL, plan_id)})
        levels = [(category, level) for category in categories for level in (GLOBAL, plan_id)]
        answers = self._access.together(
            [
                partial(self._partition, VALIDATION_RULE, keys.partition({"category": category, "plan_id": level}))
                for category, level in levels
            ]
        )
        rules = {
            place: in_order(self._access, VALIDATION_RULE, found) for place, found in zip(levels, answers, strict=True)
        }
        overlay = {category: overlaid(rules[category, GLOBAL], rules[category, plan_id]) for category in categories}
        return immutabledict({category: found for category, found in overlay.items() if found})

    def _decoded(self, kind: Kind[E], items: Iterable[Item]) -> list[E]:
        return [kind.decode(item, self._access.table(kind)) for item in items]

    def _first(self, kind: Kind[C], items: Iterable[Item]) -> C | None:
        """The plan's own configuration, else DEFAULT's."""
        configs = sorted(self._decoded(kind, filter(kind.owns, items)), key=lambda config: config.plan_id == DEFAULT)
        return configs[0] if configs else None


def _levels(plan_id: str, pay_freq: str) -> list[str]:
    """The partitions of the plan's own pipeline and of DEFAULT's."""
    return [PIPELINE_STEP.keys.partition({"plan_id": level, "pay_freq": pay_freq}) for level in (plan_id, DEFAULT)]
