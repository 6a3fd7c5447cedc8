"""The store suite on an engine that shows transactions item by item, and late, as AWS may.

Here an item of a transaction is never to be seen by a query, a scan or a BatchGetItem, as long as the test takes.
Indexes and the marks of tables follow at once: what the suite asks them right after a write, AWS tells later.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.testing import SideDoor
from tests.adversarial_engine import SPREAD, AdversarialEngine
from tests.engines.doors import AdversarialDoor
from tests.store_suite import actors, deletion, digests
from tests.store_suite.suite import StoreSuite
from tests.stores.conftest import MakeStore

LOOKS = (
    (actors, "_everything"),
    (deletion, "sort_keys"),
    (digests, "forget_keys"),
)
"""Where the suite itself looks at raw items."""
SOON = (
    "test_items_of_other_programs_are_found_in_tables_without_indexes",
    "test_a_head_that_was_removed_is_found",
    "test_a_store_has_one_key_whoever_asks_first",
)
"""Of what only a query or a scan tells: a table without indexes, a trail whose head another program deleted; and where
the suite looks itself.
"""
AT_ONCE = (
    "test_a_put_does_not_run_past_a_hold",
    "test_an_advance_that_is_refused_within_a_unit_leaves_nothing_in_it",
    "test_a_hold_of_the_same_unit_counts_and_so_does_its_release",
)
"""All claims of a batch; and within a unit of work, before its commit refuses a step, that the plan has a hold."""


class TestAdversarial(StoreSuite):
    every_rule = "slow"

    @pytest.fixture
    def layout(self) -> TableLayout:
        """The one in which everything lies beside each other; both are tried in memory."""
        return TableLayout.SINGLE

    @pytest.fixture
    def store(self, make_store: MakeStore, layout: TableLayout, request: pytest.FixtureRequest) -> Store:
        name = request.node.originalname
        spread = SPREAD if name in SOON else 0 if name in AT_ONCE else math.inf
        engine = AdversarialEngine(spread=spread, index_spread=0, eventual_spread=0)
        return make_store(engine, persistence_mode="memory", table_layout=layout)

    @pytest.fixture
    def door(self, store: Store) -> SideDoor:
        assert isinstance(store.engine, AdversarialEngine)
        return AdversarialDoor(store.engine)

    @pytest.fixture(autouse=True)
    def looks_of_the_suite(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """They see what is committed."""
        engine = store.engine
        assert isinstance(engine, AdversarialEngine)

        def settled(look: Callable[..., Any]) -> Callable[..., Any]:
            def look_settled(*given: Any) -> Any:
                engine.settle()
                return look(*given)

            return look_settled

        for place, name in LOOKS:
            monkeypatch.setattr(place, name, settled(getattr(place, name)))
