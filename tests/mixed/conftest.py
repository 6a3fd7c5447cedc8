"""A process of an earlier release and one of the working tree, over one store and one Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.mixed import jobs
from tests.mixed.releases import RELEASES, Partner, partner, python_of, working_tree


class Pair(NamedTuple):
    """Two processes over one store, each of another release."""

    one: Partner
    other: Partner
    settings: dict[str, Any]


@pytest.fixture(scope="session", params=RELEASES)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    """A process of an earlier release."""
    folder = tmp_path_factory.mktemp("release")
    with partner(request.param, python_of(request.param, folder)) as process:
        yield process


@pytest.fixture(scope="session")
def new() -> Iterator[Partner]:
    """A process of the working tree."""
    with working_tree() as process:
        yield process


def settings_on(mode: str, request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> dict[str, Any]:
    """Of a store that nobody else uses, in the layout of the mode."""
    suffix = f"-{uuid.uuid4().hex[:12]}"
    values = {"persistence_mode": mode, "table_suffix": suffix, "redis_url": redis_url, "actor": "A"}
    if mode == "file":
        return values | {"file_persistence_dir": str(tmp_path / "store")}
    url = request.getfixturevalue("dynamodb_local_url")
    dynamo = {"dynamodb_endpoint_url": url, "aws_region": "us-east-1", "redis_timeout_ms": 1000}
    return values | dynamo | {"table_layout": "single"}


@pytest.fixture(params=["file", "dynamo"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> dict[str, Any]:
    """Of a store that nobody else uses, in each layout."""
    return settings_on(request.param, request, tmp_path, redis_url)


PAIRS = [
    pytest.param(("old", "file"), id="old first-file"),
    pytest.param(("new", "dynamo"), id="new first-dynamo"),
    pytest.param(("old", "dynamo"), id="old first-dynamo", marks=pytest.mark.slow),
    pytest.param(("new", "file"), id="new first-file", marks=pytest.mark.slow),
]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, old: Partner, new: Partner, tmp_path: Path, redis_url: str) -> Pair:
    """`one` writes first and `other` follows: each of the two releases in turn. `one` makes the tables."""
    first, mode = request.param
    settings = settings_on(mode, request, tmp_path, redis_url)
    one, other = (old, new) if first == "old" else (new, old)
    for process in (one, other):
        process.open(settings)
        if process is one:
            process.do(jobs.create)
    return Pair(one, other, settings)
