"""Client and ACH configurations: the plan's own, else DEFAULT's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from bluestar_store.errors import ConfigNotFoundError, EncryptedValueError
from bluestar_store.keys import DEFAULT
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.repositories.base import Repository, left_of
from bluestar_store.repositories.sessions import HasSessions

C = TypeVar("C", bound=PlanEntity)


class Configs(Repository[C]):
    """Items of the table agent-config: one repository for ClientConfig and one for AchConfig."""

    def get(self, plan_id: str, pay_freq: str, *, fallback: bool = True, fresh: bool = False) -> C:
        """The plan's own configuration, else DEFAULT's (see its `scope`), in one read: a TransactGetItems.

        Without `fallback` the plan's own only. Raises ConfigNotFoundError, InvalidKeyError.
        """
        levels = ((plan_id, pay_freq), (DEFAULT, pay_freq)) if fallback else ((plan_id, pay_freq),)
        config = self.first(*levels, fresh=fresh)
        if config is None:
            raise self.not_found(f"no {self._mapper.entity.__name__} for plan {plan_id!r}, {pay_freq!r}")
        return config

    def reads_of(self, plan_id: str, stored: Sequence[C]) -> Iterator[Callable[[], object]]:
        """See Reader: by pay frequency."""
        for pay_freq in sorted({self._mapper.identity(config)["pay_freq"] for config in stored}):
            yield partial(self.get, plan_id, pay_freq)

    def effective(self, plan_id: str, like: Iterable[C]) -> Iterable[C]:
        """One for each pay frequency; of one whose key was dropped, what is left."""
        for pay_freq in sorted({self._mapper.identity(config)["pay_freq"] for config in like}):
            try:
                yield self.get(plan_id, pay_freq, fresh=True)
            except ConfigNotFoundError:
                continue
            except EncryptedValueError as error:
                left = left_of(self, error)
                if left is not None:
                    yield left


class ClientConfigRepository(Configs[ClientConfig]):
    """Client configurations."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, store.sessions.tables.registered(CLIENT_CONFIG))


class AchConfigRepository(Configs[AchConfig]):
    """Bank accounts."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, store.sessions.tables.registered(ACH_CONFIG))
