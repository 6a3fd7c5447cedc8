"""A Store with rules of two levels, and rule sets that change them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, Store, seeding
from bluestar_store.rulesets.loading import to_write
from bluestar_store.rulesets.reading import RuleSet
from bluestar_store.rulesets.saved_plan import save_plan
from tests.seeded import seeded_store


@pytest.fixture
def store() -> Iterator[Store]:
    with seeded_store(demo=True) as opened:
        yield opened


def rule(plan_id: str, calc_type: str = "match", max_pct: str = "6") -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type=calc_type, max_pct=Decimal(max_pct))


def changed(store: Store, path: Path, actor: str | None = None) -> RuleSet:
    """A plan that adds, changes and removes; and a rule set that brings it about."""
    demo = seeding.read("fixtures/demo").entities
    kept = [e for e in demo if getattr(e, "calc_type", "") != "er_contrib" and getattr(e, "plan_id", "") == "ACME"]
    wanted = [rule("ACME", max_pct="5") if getattr(e, "calc_type", "") == "match" else e for e in kept]
    rules = RuleSet((*wanted, rule("ACME", "extra")))
    save_plan(store, to_write(seeding.compare(store, rules, prune=True), overwrite=True), path, actor=actor)
    return rules


def resigned(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """What somebody makes of a plan who knows how digests are made."""
    content = json.loads(path.read_text())
    change(content)
    del content["digest"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps(content | {"digest": hashlib.sha256(text.encode()).hexdigest()}))
