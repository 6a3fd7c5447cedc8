"""Projects of agent teams that install the library: their own pytest runs."""

from __future__ import annotations

import shutil

import pytest

from tests import servers

REAL = {
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_PROFILE": "production",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
    "BLUESTAR_DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:9",
    "BLUESTAR_TABLE_SUFFIX": "-prod",
    "BLUESTAR_REDIS_URL": "redis://127.0.0.1:9",
}


@pytest.mark.slow
def test_what_one_test_writes_no_other_sees(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from bluestar_store import CalculationRule

        @pytest.mark.parametrize("number", range(10))
        def test_rules(bluestar_store, number):
            rules = bluestar_store.calculation_rules
            assert rules.get("ACME", "match").plan_id == "GLOBAL"
            rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula=str(number)))
            rules.put(rules.get("GLOBAL", "match").model_copy(update={"formula": str(number)}))
            bluestar_store.engine.delete_tables(["bluestar-irs-limits"])

        def test_nothing_is_left(bluestar_store):
            assert bluestar_store.plans() == ()
            assert bluestar_store.irs_limits.get(2026)
        """
    )
    pytester.runpytest_subprocess("-p", "xdist", "-n", "2").assert_outcomes(passed=11)


@pytest.mark.slow
def test_moto_is_all_that_is_reached_with_real_credentials_in_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(
        """
        import os
        import boto3

        def test_moto(bluestar_dynamo_store, seed_rules):
            assert bluestar_dynamo_store.calculation_rules.get("ACME", "match").formula
            assert "AKIAREAL" not in map(os.environ.get, os.environ)
            ours = boto3.client("dynamodb")
            assert ours._request_signer._credentials.access_key == "testing"
            assert "bluestar-irs-limits" in ours.list_tables()["TableNames"]
            assert boto3.client("s3").list_buckets()["Buckets"] == []

        def test_afterwards_the_environment_is_as_it_was():
            assert os.environ["AWS_ACCESS_KEY_ID"] == "AKIAREAL"
            assert os.environ["AWS_PROFILE"] == "production"

        def test_moto_starts_empty_again(bluestar_dynamo_store):
            assert len(boto3.client("dynamodb").list_tables()["TableNames"]) == 8
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_a_team_sets_its_store_up_in_its_conftest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def bluestar_settings():
            return {"table_layout": "single", "kinds": "tests.own_kinds:KINDS"}

        @pytest.fixture
        def bluestar_store(bluestar_store, seed_rules):
            seed_rules("rules")
            return bluestar_store
        """
    )
    rules = pytester.mkdir("rules")
    (rules / "calculation-rules.json").write_text(
        '{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": 4.25}]}'
    )
    pytester.makepyfile(
        """
        def test_the_teams_store(bluestar_store, assert_reads):
            with assert_reads(engine=1):
                assert str(bluestar_store.calculation_rules.get("ACME", "match").max_pct) == "4.25"
            assert bluestar_store.tables.layout == "single"
            assert "pay-calendar" in [kind.name for kind in bluestar_store.tables.kinds]
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_failed_count_is_shown_with_the_calls_and_without_our_frames(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_reads(bluestar_store, assert_reads):
            with assert_reads(engine=0):
                bluestar_store.irs_limits.get(2026)
        """
    )
    done = pytester.runpytest_inprocess()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["E*AssertionError: round trips to the engine: 0 expected, 1 made:", "E*get bluestar-irs-limits PK=YEAR#2026*"]
    )
    done.stdout.no_fnmatch_line("*round_trips.py*")


@pytest.mark.parametrize("how", ["option", pytest.param("ini", marks=pytest.mark.slow)])
def test_a_real_redis_is_used_when_it_is_asked_for(pytester: pytest.Pytester, how: str) -> None:
    if shutil.which("redis-server") is None:
        servers.unavailable("redis-server is not on PATH")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("round_", [1, 2])
        def test_redis(bluestar_redis, bluestar_store, round_):
            assert bluestar_redis.client.info("server")["process_id"]
            assert bluestar_redis.client.keys("*") == []
            bluestar_store.irs_limits.get(2026)
            assert bluestar_redis.client.keys("bluestar:*")
        """
    )
    if how == "ini":
        pytester.makeini("[pytest]\nbluestar_redis = server")
    options = ["--bluestar-redis=server"] if how == "option" else []
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=2)


def test_a_choice_of_redis_that_is_none_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_redis(bluestar_redis): ...")
    pytester.makeini("[pytest]\nbluestar_redis = valkey")
    done = pytester.runpytest_inprocess()
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*bluestar_redis is fake or server, not 'valkey'*"])


def test_what_is_not_installed_is_named_with_how_to_get_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys\nsys.modules['moto'] = None\n")
    pytester.makepyfile("def test_moto(bluestar_dynamo_store): ...\ndef test_memory(bluestar_store): ...")
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(errors=1, passed=1)
    done.stdout.fnmatch_lines(["*bluestar_dynamo_store needs moto*pip install 'bluestar-store[[]testing[]]'*"])


def test_no_thread_is_left_behind(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading

        def test_redis(bluestar_store, bluestar_redis):
            bluestar_store.irs_limits.get(2026)

        def test_afterwards():
            names = {thread.name for thread in threading.enumerate()}
            assert not {name for name in names if name.startswith("bluestar")}
        """
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=2)
