"""Every row can be measured, with the targets of its issue; nothing here claims a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from benchmarks.bench import Bench
from benchmarks.run import GROUPS, rows_of

TINY = 400
"""One part in so many of a full run: a few rounds."""

TARGETS = {
    "cold": {
        ("cold: GLOBAL's rule", "PynamoDB, two gets", 0.55),
        ("cold: GLOBAL's rule", "boto3 client, two gets", 0.60),
        ("cold: the plan's own rule", "boto3 Table get", 0.85),
        ("cold: a pipeline of 26", "PynamoDB query", 0.60),
        ("cold: a pipeline of 26", "boto3 client query", 0.75),
    },
    "snapshot": {("plan snapshot", "PynamoDB, query by query", 0.50)},
    "threads": {("cold reads at once, each", "bluestar-store, one thread", 1.0)},
    "bulk": {
        ("put_many, 25 new", "boto3 batch_writer", 0.60),
        ("export, 250 items", "PynamoDB scan loop", 0.60),
        ("export, 250 items: peak RSS", "bluestar-store", 200),
    },
    "startup": {
        ("import, in a process", "import pydantic, pynamodb.models", 1.15),
        ("--help", "typer hello world --help", 1.5),
    },
    "client_memory": {("growth over the imports, 8 tables", "eight PynamoDB Models", 0.2)},
}
"""The rows that have a target, by group: what is measured, its peer, and the most that the ratio may be."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench"), divisor=TINY) as bench:
        yield bench


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_every_contender_gives_the_right_answer(bench: Bench, group: str) -> None:
    lines = list(rows_of(group)(bench))
    assert lines
    assert all(math.isfinite(line.median) for line in lines)
    targets = {(line.work, line.who, goal.most) for line in lines for goal in line.goals}
    assert targets >= TARGETS.get(group, set())
