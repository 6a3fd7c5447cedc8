"""What plans inherit: entities of GLOBAL or DEFAULT that know which plan they were read for.

The cache has one entry of each for all plans. A plan's copies share the cached entity's values; each is made once, and
kept as long as that stays cached.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sized
from typing import Any, TypeVar

from bluestar_store.errors import InheritedRuleError
from bluestar_store.mapping.entity import Entity, PlanEntity

P = TypeVar("P", bound=PlanEntity)
S = TypeVar("S")
W = TypeVar("W")
A = TypeVar("A")

ANSWER_BYTES, COPY_BYTES = 400, 120
"""Size of an answer that is kept here, and of each copy in it (measured)."""
MAX_BYTES = 8 * 1024 * 1024
"""Of the answers that a repository keeps; when they are more it begins anew."""


def inherited(plan_id: str, entities: Iterable[P]) -> tuple[P, ...]:
    """The entities as the plan has them: those that are not its own know that."""
    return tuple(one if one.plan_id == plan_id else one.inherited_as(plan_id) for one in entities)


def inherited_rule_error(item: str, entity: Entity, plan_id: str) -> InheritedRuleError:
    """The error of a write of what this plan inherits; `item` says what that is."""
    name = re.findall("[A-Z][^A-Z]*", type(entity).__name__)[-1].lower()  # rule, config, step, schema
    if isinstance(entity, PlanEntity):
        level = entity.scope.value
        own, named = f'{name}.for_plan("{plan_id}")', f'{level} by name in place of the plan, as in get("{level}", ...)'
    else:
        own, named = f"a {name} of its own", "it by its key"
    return InheritedRuleError(
        item, plan_id, f"put {own} to change it for this plan, or ask for {named}, and put that to change it for all"
    )


class DerivedAnswers:
    """Answers to a plan's reads, each with the cached values that it was derived from. Safe for threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
        self._bytes = 0
        self.get: Callable[[tuple[Any, ...]], tuple[Any, Any, Any] | None] = self._kept.get
        """The two values that an answer was made of, and the answer: good only while both still are what is cached."""

    def of(self, identity: tuple[Any, ...], shared: S, own: W, make: Callable[[S, W], A], *, keep: bool) -> A:
        """The answer made of these values, the level's and the plan's; `keep` while they are in the process."""
        kept = self.get(identity)
        if kept is not None and kept[0] is shared and kept[1] is own:
            answer: A = kept[2]
            return answer
        made = make(shared, own)
        if keep:
            self._keep(identity, (shared, own, made))
        return made

    def _keep(self, identity: tuple[Any, ...], kept: tuple[Any, Any, Any]) -> None:
        self._bytes += ANSWER_BYTES + COPY_BYTES * (len(kept[2]) if isinstance(kept[2], Sized) else 1)
        if self._bytes > MAX_BYTES:
            self._kept.clear()
            self._bytes = 0
        self._kept[identity] = kept


class InheritedEntities(DerivedAnswers):
    """The same for single entities; see `protocols.DerivedValues`."""

    def __init__(self, inherit: Callable[[tuple[Any, ...], Any], Any]) -> None:
        """`inherit` makes what the plan of an identity inherits of an entity."""
        super().__init__()
        self._inherit = inherit

    def derive(self, identity: tuple[Any, ...], shared: Any) -> Any:
        """The copy for an identity, which is cached."""
        return self.of(identity, shared, None, lambda one, _: self._inherit(identity, one), keep=True)
