"""Calculation rules: the plan's own, else GLOBAL's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from immutabledict import immutabledict

from bluestar_store.deprecation import renamed
from bluestar_store.keys import GLOBAL
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.inherited import inherited
from bluestar_store.repositories.sessions import HasSessions


class CalculationRuleRepository(Repository[CalculationRule]):
    """Items of the table calculation-rules."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, CALCULATION_RULE)

    def get(self, plan_id: str, calc_type: str, *, fresh: bool = False) -> CalculationRule:
        """The plan's own rule, else GLOBAL's (see its `scope`, and `inherited_by`), in one read: a TransactGetItems.

        `plan_id` may be GLOBAL itself. `fresh` reads past the cache, consistently. Raises RuleNotFoundError,
        InvalidKeyError.
        """
        rule = self.first((plan_id, calc_type), (GLOBAL, calc_type), fresh=fresh)
        if rule is None:
            raise self.not_found(f"no calculation rule {calc_type!r} for plan {plan_id!r} nor {GLOBAL}")
        return rule

    def all(self, plan_id: str, *, fresh: bool = False) -> Mapping[str, CalculationRule]:
        """Every rule that applies to the plan by `calc_type`, sorted: GLOBAL's with the plan's own laid over them.

        Empty when there is none. Two queries at once.
        """
        return self._laid_over((GLOBAL,), (plan_id,), partial(merged, plan_id), fresh=fresh)

    def reads_of(self, plan_id: str, stored: Sequence[CalculationRule]) -> Iterator[Callable[[], object]]:
        """See Reader: by type, and all at once."""
        yield partial(self.all, plan_id)
        yield from (partial(self.get, plan_id, calc_type) for calc_type in {rule.calc_type: None for rule in stored})

    def effective(self, plan_id: str, like: Iterable[CalculationRule]) -> Iterable[CalculationRule]:
        """All, in two queries."""
        return self.all(plan_id, fresh=True).values()


def merged(plan_id: str, *levels: Sequence[CalculationRule]) -> Mapping[str, CalculationRule]:
    """Rules by type, later levels over earlier ones, as the plan has or inherits them."""
    rules = {rule.calc_type: rule for level in levels for rule in level}
    return immutabledict({rule.calc_type: rule for rule in inherited(plan_id, map(rules.__getitem__, sorted(rules)))})


__getattr__ = renamed(__name__, {"CalculationRules": f"{__name__}:CalculationRuleRepository"})  # for one release
