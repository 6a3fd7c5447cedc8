"""Client and ACH configurations: the plan's own, else DEFAULT's."""

from __future__ import annotations

from typing import TypeVar

from bluestar_store.keys import DEFAULT
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.repositories.base import Repository

C = TypeVar("C", bound=PlanEntity)


class Configs(Repository[C]):
    """Items of the table agent-config: one repository for ClientConfig and one for AchConfig."""

    def get(self, plan_id: str, pay_freq: str, *, fallback: bool = True, fresh: bool = False) -> C:
        """The plan's own configuration, else DEFAULT's (see its `scope`), in one read: a TransactGetItems.

        Without `fallback` the plan's own only. Raises ConfigNotFoundError, InvalidKeyError.
        """
        levels = ((plan_id, pay_freq), (DEFAULT, pay_freq)) if fallback else ((plan_id, pay_freq),)
        config = self._first(*levels, fresh=fresh)
        if config is None:
            raise self._missing(f"no {self._mapper.entity.__name__} for plan {plan_id!r}, {pay_freq!r}")
        return config
