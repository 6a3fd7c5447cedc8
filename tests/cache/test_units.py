"""What is cached together and what apart: an item or a partition of one entity, at one level."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from bluestar_store import (
    AchConfig,
    BatchStatus,
    ClientConfig,
    ConfigNotFoundError,
    InvalidKeyError,
    IrsLimits,
    PipelineStep,
    RuleNotFoundError,
    Store,
    TableLayout,
    ValidationRule,
    seeding,
)
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Put
from bluestar_store.testing import FaultEngine
from bluestar_store.testing.redis_wire import command_name
from tests.cache.stores import one_store, rule, stores
from tests.redis_proxy import RedisProxy

Both = tuple[Store, FaultEngine]


@pytest.fixture(params=["process", "redis", "valkey"])
def tiers(request: pytest.FixtureRequest) -> str | None:
    """The first tier alone, and both."""
    if request.param == "process":
        return None
    url: str = request.getfixturevalue("redis_url" if request.param == "redis" else "_valkey_server")
    return url


@pytest.fixture(params=list(TableLayout), ids=str)
def both(request: pytest.FixtureRequest, tiers: str | None) -> Iterator[Both]:
    with one_store(tiers, table_layout=request.param) as found:
        yield found


def test_a_second_read_reaches_no_engine(both: Both) -> None:
    store, engine = both
    store.calculation_rules.put(rule("ACME", 5))
    engine.faults.forget()
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    assert engine.faults.counts == {"get": 1}


def test_a_plan_on_global_costs_its_own_absence_and_the_shared_rule_in_one_call(both: Both) -> None:
    store, engine = both
    store.calculation_rules.put(rule("GLOBAL", 6))
    engine.faults.forget()
    assert store.calculation_rules.get("ACME", "match").max_pct == 6
    (first,) = engine.faults.calls
    assert len(first.arguments["keys"]) == 2
    assert first.arguments["consistent"]
    assert store.calculation_rules.get("OMEGA", "match").max_pct == 6
    assert [key.pk for key in engine.faults.calls[1].arguments["keys"]] == ["CLIENT#OMEGA"]
    for plan in ("ACME", "OMEGA"):
        store.calculation_rules.get(plan, "match")
    assert engine.faults.counts == {"get": 2}


def test_writing_global_reaches_every_plan_at_once(both: Both) -> None:
    store, _ = both
    shared = store.calculation_rules.put(rule("GLOBAL", 6))
    for plan in ("ACME", "OMEGA"):
        assert store.calculation_rules.get(plan, "match").max_pct == 6
        assert store.calculation_rules.all(plan)["match"].max_pct == 6
    store.calculation_rules.put(shared.model_copy(update={"max_pct": Decimal(7)}))
    for plan in ("ACME", "OMEGA"):
        assert store.calculation_rules.get(plan, "match").max_pct == 7
        assert store.calculation_rules.all(plan)["match"].max_pct == 7


def test_writing_a_plans_own_rule_ends_its_fallback_and_deleting_it_begins_it_again(both: Both) -> None:
    store, _ = both
    store.calculation_rules.put(rule("GLOBAL", 6))
    assert store.calculation_rules.get("ACME", "match").max_pct == 6
    own = store.calculation_rules.put(rule("ACME", 5))
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    assert store.calculation_rules.all("ACME")["match"].max_pct == 5
    assert store.calculation_rules.get("OMEGA", "match").max_pct == 6
    store.calculation_rules.delete(own)
    assert store.calculation_rules.get("ACME", "match").max_pct == 6
    assert store.calculation_rules.all("ACME")["match"].max_pct == 6


def test_what_nobody_has_is_cached_as_absent(both: Both) -> None:
    store, engine = both
    for _ in range(2):
        with pytest.raises(RuleNotFoundError):
            store.calculation_rules.get("ACME", "match")
        with pytest.raises(ConfigNotFoundError):
            store.client_configs.get("ACME", "Weekly")
        assert store.validation_rules.for_category("SSN", "ACME") == ()
        assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()
    assert engine.faults.counts["query"] == 2 + 1
    # Before and after its queries, a combination's revisions; the head of the pipeline too, once more.
    assert engine.faults.counts["get"] == 2 + 2 + 3


def test_each_entity_of_a_partition_has_its_own_units(both: Both) -> None:
    store, engine = both
    store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", custodian="Fidelity"))
    store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="12345678"))
    store.pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100)])
    assert len(store.pipelines.steps("ACME", "Weekly")) == 1
    assert store.client_configs.get("ACME", "Weekly").custodian == "Fidelity"
    assert store.ach_configs.get("ACME", "Weekly").account_number == "12345678"
    engine.faults.forget()
    store.ach_configs.put(store.ach_configs.get("ACME", "Weekly").model_copy(update={"bank_id": "B"}))
    assert store.pipelines.steps("ACME", "Weekly")
    assert store.client_configs.get("ACME", "Weekly").custodian == "Fidelity"
    assert engine.faults.counts == {"get": 2, "write": 1}  # the gets are of the item and of the head of its trail
    assert store.ach_configs.get("ACME", "Weekly").bank_id == "B"


def test_categories_are_overlaid_from_levels_that_are_cached_apart(both: Both) -> None:
    store, engine = both
    store.validation_rules.put(ValidationRule(category="SSN", number=1, message="global"))
    assert [one.message for one in store.validation_rules.for_category("SSN", "ACME")] == ["global"]
    store.validation_rules.put(ValidationRule(category="SSN", number=1, message="own", plan_id="ACME"))
    engine.faults.forget()
    assert [one.message for one in store.validation_rules.for_category("SSN", "ACME")] == ["own"]
    assert engine.faults.counts["query"] == 1
    engine.faults.forget()
    assert [one.message for one in store.validation_rules.for_category("SSN")] == ["global"]
    assert not engine.faults.counts


def test_a_replaced_pipeline_is_read_whole_at_once(both: Both) -> None:
    store, _ = both
    for count in (3, 1, 2):
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100 * n) for n in range(1, count + 1)]
        store.pipelines.replace("ACME", "Weekly", steps)
        assert len(store.pipelines.steps("ACME", "Weekly")) == count
    store.pipelines.remove("ACME", "Weekly")
    assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()


def test_a_plan_with_a_pipeline_of_its_own_does_not_pay_for_defaults(both: Both) -> None:
    store, engine = both
    for plan in ("ACME", "DEFAULT"):
        store.pipelines.replace(plan, "Weekly", [PipelineStep(plan_id=plan, pay_freq="Weekly", step_order=100)])
    for fresh in (False, False, True):
        engine.faults.forget()
        assert [step.plan_id for step in store.pipelines.steps("ACME", "Weekly", fresh=fresh)] == ["ACME"]
        assert engine.faults.counts.get("query", 0) <= 1
    engine.faults.forget()
    assert [step.plan_id for step in store.pipelines.steps("OTHER", "Weekly")] == ["DEFAULT"]
    assert engine.faults.counts["query"] == 2
    engine.faults.forget()
    assert [step.plan_id for step in store.pipelines.steps("THIRD", "Weekly")] == ["DEFAULT"]
    assert engine.faults.counts["query"] == 1
    store.cache._cache.local.flush()
    engine.faults.forget()
    store.pipelines.steps("ACME", "Weekly")
    store.pipelines.steps("OTHER", "Weekly")
    assert engine.faults.counts.get("query", 0) == (3 if store.cache.stats().redis == "off" else 0)


def test_what_was_changed_behind_the_librarys_back_is_seen_by_a_fresh_read_and_after_it(both: Both) -> None:
    store, engine = both
    own = store.calculation_rules.put(rule("ACME", 5))
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    assert own.origin is not None
    theirs = {**own.origin.item, "max_pct": {"N": "9"}}
    engine.write(Put(store.tables.name(store.calculation_rules.mapper), theirs))
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    engine.faults.forget()
    assert store.calculation_rules.get("ACME", "match", fresh=True).max_pct == 9
    assert engine.faults.calls[0].arguments["consistent"]
    assert store.calculation_rules.get("ACME", "match").max_pct == 9
    assert engine.faults.counts == {"get": 1}


def test_an_item_that_does_not_decode_is_not_kept(both: Both) -> None:
    store, engine = both
    table = store.tables.name(store.irs_limits.mapper)
    broken = {"PK": {"S": "YEAR#2026"}, "SK": {"S": "LIMITS"}, "max_401k": {"S": "much"}}
    engine.write(Put(table, broken))
    engine.faults.forget()
    for _ in range(2):
        with pytest.raises(Exception, match="max_401k"):
            store.irs_limits.get(2026)
    assert engine.faults.counts == {"get": 2}
    engine.write(Put(table, {**broken, "max_401k": {"N": "24500"}}))
    assert store.irs_limits.get(2026) == IrsLimits(year=2026, max_401k=Decimal(24500))


@pytest.mark.parametrize("plan", ["", "A#B", "A\x00", ["ACME"], None, "GLOBAL_" * 400])
def test_an_identifier_is_checked_before_anything_is_asked(both: Both, plan: str) -> None:
    store, engine = both
    for _ in range(2):
        with pytest.raises(InvalidKeyError):
            store.calculation_rules.get(plan, "match")
    assert engine.faults.calls == []
    assert store.cache.held() == {}


def test_holds_and_batches_are_never_cached(both: Both) -> None:
    store, engine = both
    for _ in range(2):
        store.holds.open("ACME")
    assert engine.faults.counts["query"] == 2
    assert store.cache.stats().loads == 0


def announced(proxy: RedisProxy) -> list[str]:
    """The commands that tell of a write; heartbeats are on channels and keys of their own."""
    requests = [request for request in proxy.requests if command_name(request) in ("EVAL", "PUBLISH")]
    return [
        command_name(one) for one in requests if not any(b"witness" in word or b":changes:" in word for word in one)
    ]


def test_what_is_never_cached_sends_nothing_to_redis(redis_proxy: RedisProxy) -> None:
    with one_store(redis_proxy.url) as (store, _):
        seeding.load(store, seeding.baseline())
        batch = store.batches.start("ACME", "BiWeeklyFri", 2026)
        step = store.pipelines.steps("ACME", "BiWeeklyFri")[0]
        redis_proxy.forget()
        claim = store.claims.claim(batch, step.step_order, "one", 60)
        with store.unit_of_work() as uow:
            uow.results.save(batch, step.step_order, {"ok": True}, claim)
            uow.audit.append(batch.batch_id, actor="VALIDATOR", action="check")
        hold = store.holds.place("ACME", reason="missing data")
        store.holds.release("ACME", hold.hold_id)
        store.batches.advance(batch, status=BatchStatus.RUNNING)
        assert announced(redis_proxy) == []
        store.calculation_rules.put(rule("ACME", 5))
        assert set(announced(redis_proxy)) == {"EVAL", "PUBLISH"}


def test_stores_of_one_process_and_environment_tell_each_other_without_redis() -> None:
    with stores(MemoryEngine(), 2, None) as (one, other):
        for store in (one, other):
            del store.cache._cache.peers  # as they are without the test's doing
        own = one.calculation_rules.put(rule("ACME", 5))
        assert other.calculation_rules.get("ACME", "match").max_pct == 5
        one.calculation_rules.put(own.model_copy(update={"max_pct": Decimal(4)}))
        assert other.calculation_rules.get("ACME", "match").max_pct == 4
