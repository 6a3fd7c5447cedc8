"""Validation rules: GLOBAL rules with the plan's own laid over them, number by number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from bluestar_store.deprecation import renamed
from bluestar_store.keys import GLOBAL
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.cache_answers import readable
from bluestar_store.repositories.inherited import inherited
from bluestar_store.repositories.sessions import HasSessions


class ValidationRuleRepository(Repository[ValidationRule]):
    """Items of the table validation-rules."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, VALIDATION_RULE)

    def for_category(self, category: str, plan_id: str = GLOBAL, *, fresh: bool = False) -> tuple[ValidationRule, ...]:
        """The enabled rules that apply to the plan in a category, by number; empty when there are none.

        A plan's own rule replaces the GLOBAL rule of its number; with `enabled` false it switches it off.
        """
        return self._laid_over((category, GLOBAL), (category, plan_id), partial(applying, plan_id), fresh=fresh)

    def at_level(self, category: str, plan_id: str = GLOBAL, *, fresh: bool = False) -> tuple[ValidationRule, ...]:
        """The rules that a level (a plan, or GLOBAL) has of its own in a category, disabled ones too, by number."""
        (rules,) = self.partitions((category, plan_id), fresh=fresh)
        return readable(rules)

    def reads_of(self, plan_id: str, stored: Sequence[ValidationRule]) -> Iterator[Callable[[], object]]:
        """See Reader: by category."""
        for category in sorted({rule.category for rule in stored}):
            yield partial(self.for_category, category, plan_id)

    def effective(self, plan_id: str, like: Iterable[ValidationRule]) -> Iterable[ValidationRule]:
        """Those of the categories, enabled ones only."""
        for category in sorted({rule.category for rule in like}):
            yield from self.for_category(category, plan_id, fresh=True)


def applying(plan_id: str, *levels: Sequence[ValidationRule]) -> tuple[ValidationRule, ...]:
    """Those of `overlaid`, as the plan has or inherits them."""
    return inherited(plan_id, overlaid(*levels))


def overlaid(*levels: Sequence[ValidationRule]) -> tuple[ValidationRule, ...]:
    """The enabled rules by number, later levels over earlier ones."""
    rules = {rule.number: rule for level in levels for rule in level}
    return tuple(rules[number] for number in sorted(rules) if rules[number].enabled)


__getattr__ = renamed(__name__, {"ValidationRules": f"{__name__}:ValidationRuleRepository"})  # for one release
