"""The doctor on AWS's own server: real pages, real transactions that cannot succeed, the same findings."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from bluestar_store import Settings, Store
from bluestar_store.doctor import examine
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import Item
from tests.doctor.conftest import place
from tests.store_suite.side_door import wire


@pytest.fixture
def store(dynamodb_local_url: str) -> Iterator[Store]:
    settings = Settings(
        dynamodb_endpoint_url=dynamodb_local_url, aws_region="us-east-1", table_suffix=f"-{uuid.uuid4().hex[:8]}"
    )
    with Store.open(settings) as store:
        store.create_tables()
        yield store
        store.engine.delete_tables([spec.name for spec in store.tables.specs()])


def step(plan: str, sk: str, revision: str, count: int) -> Item:
    own = {"bs_revision": revision, "bs_steps": {"N": str(count)}}
    index = {"bs_kind": "pipeline-step", "bs_level": f"{plan}\x1fWeekly"}
    return wire(f"CLIENT#{plan}_Weekly", sk, **own, **index, description="x" * 300_000)


def test_the_findings_are_those_of_memory(store: Store) -> None:
    """The steps are large, so that a pipeline lies on several pages."""
    steps = [
        *(step("WHOLE", f"STEP#{n:04d}", "a", 8) for n in range(8)),
        *(step("LOST", f"STEP#{n:04d}", "a", 9) for n in range(8)),
        *(step("TWICE", sk, "a", 2) for sk in ("STEP#0100", "STEP#100")),
    ]
    rules = [
        wire("CLIENT#A", "CALC#m", max_pct="six"),
        wire("CLIENT#A", "CALC#a#b"),
        wire("CLIENT#DEFAULT", "CALC#m"),
    ]
    found = []
    with Store.open(Settings(persistence_mode="memory", table_suffix=store.settings.table_suffix)) as memory:
        memory.create_tables()
        for target in (store, memory):
            target.engine.put_many(target.tables.name(PIPELINE_STEP), steps)
            target.engine.put_many(target.tables.name(CALCULATION_RULE), rules)
            found.append(sorted(map(place, examine(target)), key=str))
    assert found[0] == found[1]
    assert [(check, pk, sk) for _, check, pk, sk in found[0]] == [
        ("duplicate", "CLIENT#TWICE_Weekly", "STEP#100"),
        ("key-unreadable", "CLIENT#A", "CALC#a#b"),
        ("pipeline", "CLIENT#LOST_Weekly", None),
        ("undecodable", "CLIENT#A", "CALC#m"),
        ("key-ambiguous", "CLIENT#DEFAULT", "CALC#m"),
    ]
