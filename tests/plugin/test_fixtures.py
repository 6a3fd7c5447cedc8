"""The fixtures, used as an agent team uses them."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bluestar_store import (
    BatchState,
    CalculationRule,
    PipelineStep,
    PlanHold,
    SeedError,
    Settings,
    Store,
    TableLayout,
    ThrottledError,
    UnavailableError,
    VersionConflictError,
    seeding,
)
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRuleModel
from bluestar_store.models.vendor import VENDOR_SCHEMA, fingerprint
from bluestar_store.persistence import EngineRulesStore
from bluestar_store.protocols import ABSENT
from bluestar_store.rulesets.editing import changed
from bluestar_store.testing import READS, WRITES, AssertReads, FaultEngine, Faults, FrozenClock, SeedRules
from bluestar_store.testing.stores import Seeded, StoreRequest, Stores
from tests.own_kinds import KINDS, PAY_CALENDAR, PayCalendar, PayCalendars

DEMO = Path(__file__).parents[2] / "fixtures" / "demo"
MATCH = ("ACME", "match")


def rule(max_pct: int, plan_id: str = "ACME") -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type="match", max_pct=Decimal(max_pct))


# ------------------------------------------------------------------------------------------------------------ the Store


@pytest.fixture(params=["bluestar_store", pytest.param("bluestar_dynamo_store", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest) -> Store:
    """Each Store that the plugin has."""
    found: Store = request.getfixturevalue(request.param)
    return found


def test_a_store_holds_the_baseline_and_nothing_else(store: Store) -> None:
    assert not seeding.compare(store, seeding.baseline(), prune=True)
    assert store.plans() == ()
    assert len(store.pipelines.steps("ACME", "BiWeeklyFri")) == 26


def test_what_is_seeded_can_be_changed_with_its_version_checked(store: Store) -> None:
    found = store.calculation_rules.get("GLOBAL", "match")
    store.calculation_rules.put(found.model_copy(update={"max_pct": Decimal(7)}))
    with pytest.raises(VersionConflictError):
        store.calculation_rules.put(found.model_copy(update={"max_pct": Decimal(8)}))
    steps = store.pipelines.steps("DEFAULT", "Weekly")
    assert len(store.pipelines.replace("DEFAULT", "Weekly", steps[:3])) == 3


@pytest.mark.parametrize("round_", [1, 2])
def test_a_store_is_as_new_whatever_the_test_before_wrote(store: Store, round_: int) -> None:
    assert store.calculation_rules.get(*MATCH).plan_id == "GLOBAL"
    store.calculation_rules.put(rule(1), expected=ABSENT)
    found = store.calculation_rules.get("GLOBAL", "match")
    assert found.version == 1
    store.calculation_rules.put(found.model_copy(update={"max_pct": Decimal(1)}))
    store.pipelines.remove("DEFAULT", "Weekly")


def test_two_copies_of_a_seeded_engine_share_no_table(bluestar_store: Store) -> None:
    wanted = StoreRequest({}, (), Faults(WRITES + READS))
    with Stores(Seeded(), wanted).memory() as other:
        other.engine.delete_tables([spec.name for spec in other.tables.specs()])
        assert bluestar_store.calculation_rules.get(*MATCH).max_pct is not None


def test_a_copied_engine_and_its_original_do_not_see_each_others_writes() -> None:
    engine = MemoryEngine()
    with Store(Settings(persistence_mode="memory"), engine) as one:
        one.create_tables()
        one.calculation_rules.put(rule(1))
        copy = engine.copy()
        one.calculation_rules.put(rule(2))
        one.calculation_rules.put(rule(3, "OMEGA"))
        with Store(Settings(persistence_mode="memory"), copy) as other:
            assert copy.data_id != engine.data_id
            assert other.calculation_rules.get(*MATCH).max_pct == 1
            assert other.plans() == ("ACME",)
            other.calculation_rules.delete(other.calculation_rules.get(*MATCH))
        assert one.calculation_rules.get(*MATCH, fresh=True).max_pct == 2


def test_a_store_pays_no_heed_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_REDIS_URL", "redis://production:6379")
    monkeypatch.setenv("BLUESTAR_TABLE_SUFFIX", "-prod")
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setenv("bluestar_actor", "nobody")
    monkeypatch.setenv("BLUESTAR_DYNAMODB_ENDPOINT_URL", "http://production:8000")
    with Stores(Seeded(), StoreRequest({}, (), Faults(()))).memory() as store:
        assert store.settings.redis_url is None
        assert store.settings.table_suffix == ""
        assert store.settings.actor is None
        assert store.settings.dynamodb_endpoint_url is None


@pytest.mark.parametrize("round_", [1, 2])
def test_a_store_has_files_of_its_own_for_the_test(store: Store, round_: int) -> None:
    assert store.files.list_files() == []
    store.files.write("in/pay.csv", "ssn,pay")


def test_models_can_be_bound_to_the_store_on_moto(bluestar_dynamo_store: Store) -> None:
    model = bluestar_dynamo_store.bind(CalculationRuleModel)
    assert model.get("CLIENT#GLOBAL", "CALC#match").formula
    assert isinstance(bluestar_dynamo_store.engine, FaultEngine)
    assert isinstance(bluestar_dynamo_store.engine.inner, DynamoEngine)


def test_old_code_reads_the_same_rules_through_the_stores_engine(store: Store, assert_reads: AssertReads) -> None:
    with assert_reads(engine=1):
        old = EngineRulesStore(store.engine, store.tables).get_calculation_rule(*MATCH)
    assert old["formula"] == store.calculation_rules.get(*MATCH).formula


# ----------------------------------------------------------------------------------------------------------- seed_rules


def test_rules_are_seeded_from_folders_rule_sets_and_entities(store: Store, seed_rules: SeedRules) -> None:
    seed_rules("fixtures/demo")  # relative to pytest's rootdir
    assert "ACME" in store.plans()
    seed_rules(DEMO, rule(1), seeding.RuleSet((rule(2, "OMEGA"),)))
    assert store.calculation_rules.get(*MATCH).max_pct == 1
    assert store.calculation_rules.get("OMEGA", "match").max_pct == 2


def test_seeding_writes_over_what_is_there_and_replaces_a_pipeline_as_a_whole(
    store: Store, seed_rules: SeedRules
) -> None:
    seed_rules(rule(1, "GLOBAL"), PipelineStep(plan_id="DEFAULT", pay_freq="Weekly", step_order=100, agent="IDP"))
    assert store.calculation_rules.get(*MATCH).max_pct == 1
    assert [step.agent for step in store.pipelines.steps("ACME", "Weekly")] == ["IDP"]


def test_what_no_rule_set_holds_can_be_seeded_too(store: Store, seed_rules: SeedRules) -> None:
    seed_rules(PlanHold(plan_id="ACME", hold_id="h1", reason="Missing data"), BatchState(batch_id="b1", plan_id="ACME"))
    assert [hold.hold_id for hold in store.holds.open("ACME")] == ["h1"]
    assert store.batches.get("b1").plan_id == "ACME"


def test_a_folder_that_is_no_rule_set_is_a_seed_error(seed_rules: SeedRules, tmp_path: Path) -> None:
    with pytest.raises(SeedError):
        seed_rules(tmp_path)


def test_seeding_alone_makes_the_store_that_the_test_asks_for_later(
    seed_rules: SeedRules, request: pytest.FixtureRequest
) -> None:
    seed_rules(rule(1))
    assert request.getfixturevalue("bluestar_store").calculation_rules.get(*MATCH).max_pct == 1


# --------------------------------------------------------------------------------------------------------------- faults


def test_the_next_reads_fail_and_those_after_them_do_not(store: Store, bluestar_faults: Faults) -> None:
    bluestar_faults.fail(READS, ThrottledError, times=2)
    for read in (lambda: store.calculation_rules.get(*MATCH), lambda: store.pipelines.steps("ACME", "Weekly")):
        with pytest.raises(ThrottledError):
            read()
    assert store.calculation_rules.get(*MATCH).max_pct is not None


def test_a_lost_reply_leaves_the_write_applied(store: Store, bluestar_faults: Faults) -> None:
    bluestar_faults.fail("write", UnavailableError, after=True, times=1)
    with pytest.raises(UnavailableError):
        store.calculation_rules.put(rule(1))
    assert store.calculation_rules.get(*MATCH).max_pct == 1


def test_faults_do_not_keep_a_store_from_closing(bluestar_store: Store, bluestar_faults: Faults) -> None:
    bluestar_faults.fail((*READS, *WRITES, "close"), UnavailableError)


# ---------------------------------------------------------------------------------------------------------------- clock


def test_what_the_cache_keeps_expires_by_the_frozen_clock(
    store: Store, bluestar_clock: FrozenClock, assert_reads: AssertReads
) -> None:
    store.irs_limits.get(2026)
    bluestar_clock.advance(timedelta(seconds=200))
    with assert_reads(engine=0):
        store.irs_limits.get(2026)
    bluestar_clock.advance(101)
    with assert_reads(engine=1):
        store.irs_limits.get(2026)


def test_a_delay_takes_the_frozen_clocks_time_and_no_other(
    store: Store, bluestar_clock: FrozenClock, bluestar_faults: Faults
) -> None:
    begun, at = time.monotonic(), bluestar_clock.now()
    bluestar_faults.delay("get", 3600)
    store.irs_limits.get(2026)
    assert bluestar_clock.now() - at == timedelta(hours=1)
    assert time.monotonic() - begun < 60


def test_what_the_library_dates_itself_has_the_frozen_clocks_time(store: Store, bluestar_clock: FrozenClock) -> None:
    identity = {"vendor_id": "ADP", "fingerprint": fingerprint(["SSN"])}
    part = changed(store, VENDOR_SCHEMA, identity, {"columns": ("SSN",)})
    assert part.wanted[0].created == store.clock.now() == bluestar_clock.now()
    batch = store.batches.start("ACME", "Weekly", 2026, "b1")
    begun = bluestar_clock.now()
    bluestar_clock.advance(60)
    hold = store.holds.place("ACME", reason="Missing data")
    assert batch.created == begun
    assert hold.created == begun + timedelta(seconds=60)


def test_without_the_frozen_clock_time_passes(bluestar_store: Store) -> None:
    before = bluestar_store.clock.monotonic()
    assert bluestar_store.clock.now().tzinfo is not None
    while bluestar_store.clock.monotonic() == before:
        pass


# --------------------------------------------------------------------------------------------------------- assert_reads


def read_all(store: Store) -> None:
    store.calculation_rules.get(*MATCH)
    store.pipelines.steps("DEFAULT", "Weekly")
    store.engine.scan("bluestar-irs-limits", sk_prefix="LIM")


def test_reads_are_counted_and_hits_are_none(store: Store, assert_reads: AssertReads) -> None:
    with assert_reads(engine=1):
        store.calculation_rules.get(*MATCH)
    with assert_reads(engine=0, redis=0):
        store.calculation_rules.get(*MATCH)
    with assert_reads(engine=0):
        store.engine.describe(store.tables.specs()[0])


def test_a_failed_count_tells_the_calls_with_their_keys(bluestar_store: Store, assert_reads: AssertReads) -> None:
    with pytest.raises(AssertionError) as failed, assert_reads(engine=1):
        read_all(bluestar_store)
    lines = str(failed.value).splitlines()
    assert lines[0] == f"round trips to the engine: 1 expected, {len(lines) - 1} made:"
    assert "  get bluestar-calculation-rules PK=CLIENT#ACME SK=CALC#match, PK=CLIENT#GLOBAL SK=CALC#match" in lines
    assert "  query bluestar-processing-pipeline PK=CLIENT#DEFAULT_Weekly SK=STEP#*" in lines
    assert "  scan bluestar-irs-limits SK=LIM*" in lines


def test_each_hundred_keys_are_a_round_trip(bluestar_store: Store, assert_reads: AssertReads) -> None:
    keys = [Key(f"CLIENT#{number}", "CALC#match") for number in range(101)]
    with assert_reads(engine=2):
        bluestar_store.engine.get("bluestar-calculation-rules", keys)


def test_too_few_reads_fail_as_well_and_an_error_in_the_block_is_what_is_raised(
    bluestar_store: Store, assert_reads: AssertReads
) -> None:
    with (
        pytest.raises(AssertionError, match=r": 2 expected, 0 made$"),
        assert_reads(engine=2),
    ):
        pass
    with pytest.raises(KeyError), assert_reads(engine=2):
        raise KeyError


def test_reads_of_redis_without_a_redis_say_what_to_ask_for(assert_reads: AssertReads) -> None:
    with pytest.raises(AssertionError, match="bluestar_redis"), assert_reads(redis=1):
        pass


# ----------------------------------------------------------------------------------------------- users' own, overridden


class TestOverridden:
    @pytest.fixture(params=list(TableLayout))
    def bluestar_settings(self, request: pytest.FixtureRequest) -> dict[str, object]:
        return {"table_layout": request.param, "table_suffix": "-agents", "actor": "an agent"}

    @pytest.fixture
    def bluestar_kinds(self) -> object:
        return KINDS

    def test_settings_and_kinds_are_those_of_the_team(self, store: Store, seed_rules: SeedRules) -> None:
        seed_rules(PayCalendar(plan_id="DEFAULT", year=2026, pay_days=("2026-01-02",)))
        assert store.repository(PAY_CALENDAR, PayCalendars).get("ACME", 2026).pay_days == ("2026-01-02",)
        assert store.tables.name(CALCULATION_RULE).endswith("-agents")
        assert store.calculation_rules.put(rule(1)).written_by == "an agent"
