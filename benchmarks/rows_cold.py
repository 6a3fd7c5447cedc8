"""Cold reads, the cache off: what a public call that reaches DynamoDB costs beside the same read with each peer.

Ours returns entities that are decoded and validated; the peers what they return. One call a block: p99 is that of a
call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.bench import Bench
from benchmarks.data import MATCH, PLAN, PLAN_WITHOUT_RULES, rule, step, with_match_rules
from benchmarks.measure import compare, repeated
from benchmarks.peers import Peer, Tables, every
from benchmarks.report import Line
from bluestar_store import GLOBAL, Store
from bluestar_store.mapping.entity import Entity
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.pipeline import PIPELINE_STEP

STEPS, FREQ = 26, "BiWeeklyFri"
RULE_NAMES = ("plan_id", "calc_type", "formula", "max_pct", "description")
STEP_NAMES = {
    "plan_id": "plan_id",
    "step_order": "stepOrder",
    "subroutine_name": "subroutineName",
    "agent": "agent",
    "enabled": "enabled",
    "description": "description",
    "timeout_seconds": "timeoutSeconds",
}
"""A field of a step, and its attribute."""

Plain = Callable[[Any], Mapping[str, Any]]


def rows(bench: Bench) -> Iterator[Line]:
    """A rule that only GLOBAL has, the plan's own rule, and a pipeline."""
    with Store.open(bench.dynamo(cache_max_entries=0)) as store:
        with_match_rules(store)
        written = [step(PLAN, FREQ, number) for number in range(1, STEPS + 1)]
        store.pipelines.replace(PLAN, FREQ, written)
        names = Tables(store.tables.name(CALCULATION_RULE), store.tables.name(PIPELINE_STEP))
        peers = list(every(store.settings, names))
        yield from _fallback(store, peers, bench.rounds(600))
        yield from _one(store, peers, bench.rounds(600))
        yield from _pipeline(store, peers, written, bench.rounds(400))


def _fallback(store: Store, peers: Sequence[Peer], rounds: int) -> list[Line]:
    own, default, sk = f"CLIENT#{PLAN_WITHOUT_RULES}", f"CLIENT#{GLOBAL}", f"CALC#{MATCH}"
    is_right = _is_rule(GLOBAL, 6)
    contenders = [
        repeated(
            "bluestar-store", lambda: store.calculation_rules.get(PLAN_WITHOUT_RULES, MATCH), is_right(_rule_of_ours)
        )
    ]
    for peer in peers:

        def both(read: Callable[[str, str], Any] = peer.rule) -> Any:
            return read(own, sk) or read(default, sk)

        contenders.append(repeated(f"{peer.name}, two gets", both, is_right(peer.plain)))
    goals = {"PynamoDB, two gets": 0.55, "boto3 client, two gets": 0.60}
    return compare("cold: GLOBAL's rule", contenders, goals, rounds=rounds, calls=1)


def _one(store: Store, peers: Sequence[Peer], rounds: int) -> list[Line]:
    pk, sk, is_right = f"CLIENT#{PLAN}", f"CALC#{MATCH}", _is_rule(PLAN, 4)
    contenders = [
        repeated("bluestar-store", lambda: store.calculation_rules.get(PLAN, MATCH), is_right(_rule_of_ours)),
        *(
            repeated(f"{peer.name} get", lambda read=peer.rule: read(pk, sk), is_right(peer.plain))  # type: ignore[misc]  # mypy cannot infer lambdas with defaults
            for peer in peers
        ),
    ]
    return compare("cold: the plan's own rule", contenders, {"boto3 Table get": 0.85}, rounds=rounds, calls=1)


def _pipeline(store: Store, peers: Sequence[Peer], written: Sequence[Entity], rounds: int) -> list[Line]:
    expected, pk = [_step_of_ours(entity) for entity in written], f"CLIENT#{PLAN}_{FREQ}"

    def is_right(plain: Plain) -> Callable[[Any], bool]:
        return lambda found: [_chosen(plain(one), STEP_NAMES.values()) for one in found] == expected

    contenders = [
        repeated("bluestar-store", lambda: store.pipelines.steps(PLAN, FREQ), is_right(_step_of_ours)),
        *(
            repeated(f"{peer.name} query", lambda read=peer.steps: read(pk), is_right(peer.plain))  # type: ignore[misc]  # see above
            for peer in peers
        ),
    ]
    goals = {"PynamoDB query": 0.60, "boto3 client query": 0.75}
    return compare(f"cold: a pipeline of {STEPS}", contenders, goals, rounds=rounds, calls=1)


def _is_rule(plan_id: str, max_pct: int) -> Callable[[Plain], Callable[[Any], bool]]:
    expected = _rule_of_ours(rule(plan_id, max_pct=max_pct))
    return lambda plain: lambda found: _chosen(plain(found), RULE_NAMES) == expected


def _rule_of_ours(entity: Any) -> Mapping[str, Any]:
    return {name: getattr(entity, name) for name in RULE_NAMES}


def _step_of_ours(entity: Any) -> Mapping[str, Any]:
    return {attribute: getattr(entity, field) for field, attribute in STEP_NAMES.items()}


def _chosen(attributes: Mapping[str, Any], names: Any) -> Mapping[str, Any]:
    return {name: attributes[name] for name in names}
