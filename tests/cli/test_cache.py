"""`cache` and `inspect rule --explain`: what is kept where, and making it forget."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store import Store
from bluestar_store.cache.redis.tier import RedisTier
from tests.cli.conftest import Run, on
from tests.servers import free_port


@pytest.fixture
def cached(seeded: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a seeded folder, with a Redis, as if it had listened to it for an hour."""
    monkeypatch.setattr(RedisTier, "listening_seconds", lambda remote: math.inf)
    monkeypatch.setenv("BLUESTAR_REDIS_URL", redis_url)
    return on(seeded)


def test_a_rule_is_explained_level_by_level(cached: Run) -> None:
    first = json.loads(cached("inspect", "rule", "NEW", "match", "--explain", "--json").stdout)
    assert [(one["level"], one["tier"]) for one in first["cache"]] == [("NEW", "nowhere"), ("GLOBAL", "nowhere")]
    again = json.loads(cached("inspect", "rule", "NEW", "match", "--explain", "--json").stdout)
    own, shared = again["cache"]
    assert (own["tier"], own["absent"], shared["tier"], shared["absent"]) == ("redis", True, "redis", False)
    assert 0 < own["expires_in_seconds"] <= 60 < shared["expires_in_seconds"] <= 300
    text = cached("inspect", "rule", "NEW", "match", "--explain").stdout
    assert "In the cache, before this read" in text
    assert "cache" not in json.loads(cached("inspect", "rule", "NEW", "match", "--json").stdout)


def test_the_cache_is_warmed_counted_and_cleared(cached: Run) -> None:
    assert json.loads(cached("cache", "stats", "--json").stdout)["keys"] == 0
    warmed = json.loads(cached("cache", "warm", "ACME", "--json").stdout)
    assert warmed["reads"] > 20
    assert warmed["kept"]["calculation-rule"] > 5
    stats = json.loads(cached("cache", "stats", "--json").stdout)
    assert (stats["redis"], stats["keys"]) == ("closed", sum(warmed["kept"].values()))
    assert "calculation-rule  partitions" in cached("cache", "stats").stdout
    assert json.loads(cached("cache", "clear", "--json").stdout) == {"forgotten": stats["keys"], "told": True}
    assert cached("cache", "stats").stdout == "Redis: answers\n"


@pytest.mark.parametrize(
    ("command", "forgotten"),
    [
        (["plan", "ACME"], None),
        (["rule", "GLOBAL", "match"], 2),
        (["category", "SSN"], 2),
        (["limits", "2026"], 1),
        (["vendor", "NOBODY"], 0),
    ],
)
def test_what_is_named_is_forgotten(cached: Run, command: list[str], forgotten: int | None) -> None:
    cached("cache", "warm", "ACME")
    done = cached("cache", "invalidate", *command)
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(cached("cache", "invalidate", *command, "--json").stdout)
    assert found == {"forgotten": 0, "told": True}
    if forgotten is not None:
        assert done.stdout.startswith(f"Forgotten: {forgotten} in Redis")


def test_a_redis_that_does_not_answer_is_told(seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_REDIS_URL", f"redis://user:hunter2@127.0.0.1:{free_port()}")
    for command in (["stats"], ["clear"], ["invalidate", "plan", "ACME"]):
        done = on(seeded)("cache", *command)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert "hunter2" not in done.stderr
    assert on(seeded)("inspect", "rule", "ACME", "match").exit_code == 0


def test_without_redis_there_is_nothing_to_count(seeded_run: Run, opened: Callable[[], Store]) -> None:
    assert seeded_run("cache", "stats").stdout == "Redis: none: BLUESTAR_REDIS_URL is not set\n"
    assert seeded_run("cache", "clear").stdout.startswith("BLUESTAR_REDIS_URL is not set: no other process can be told")


def test_an_import_makes_every_process_forget(cached: Run, tmp_path: Path) -> None:
    assert cached("export", str(tmp_path / "all")).exit_code == 0
    cached("inspect", "rule", "ACME", "match")
    assert json.loads(cached("cache", "stats", "--json").stdout)["keys"] == 2
    assert cached("import", str(tmp_path / "all"), "--merge").exit_code == 0
    assert json.loads(cached("cache", "stats", "--json").stdout)["keys"] == 0
