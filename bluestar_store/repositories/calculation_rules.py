"""Calculation rules: the plan's own, else GLOBAL's."""

from __future__ import annotations

from collections.abc import Mapping

from immutabledict import immutabledict

from bluestar_store.keys import GLOBAL
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.answers import readable
from bluestar_store.repositories.base import Repository


class CalculationRules(Repository[CalculationRule]):
    """Items of the table calculation-rules."""

    def __init__(self, access: Access) -> None:
        super().__init__(access, CALCULATION_RULE)

    def get(self, plan_id: str, calc_type: str, *, fresh: bool = False) -> CalculationRule:
        """The plan's own rule, else GLOBAL's (see its `scope`), in one read: a TransactGetItems.

        `plan_id` may be GLOBAL itself. `fresh` reads past the cache, consistently. Raises RuleNotFoundError,
        InvalidKeyError.
        """
        rule = self._first((plan_id, calc_type), (GLOBAL, calc_type), fresh=fresh)
        if rule is None:
            raise self._missing(f"no calculation rule {calc_type!r} for plan {plan_id!r} nor {GLOBAL}")
        return rule

    def all(self, plan_id: str, *, fresh: bool = False) -> Mapping[str, CalculationRule]:
        """Every rule that applies to the plan by `calc_type`, sorted: GLOBAL's with the plan's own laid over them.

        Empty when there is none. Two queries at once.
        """
        return merged(*map(readable, self._partitions((GLOBAL,), (plan_id,), fresh=fresh)))


def merged(*levels: tuple[CalculationRule, ...]) -> Mapping[str, CalculationRule]:
    """Rules by type, later levels over earlier ones."""
    rules = {rule.calc_type: rule for level in levels for rule in level}
    return immutabledict({name: rules[name] for name in sorted(rules)})
