"""What the plugin costs who does not use it, and that pytest stays out of everything else."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("boto3", "botocore", "fakeredis", "moto", "pydantic", "pydantic_settings", "pynamodb", "redis", "typer")


def printed(code: str) -> list[str]:
    """The words that a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_loading_the_plugin_imports_nothing_but_the_plugin() -> None:
    code = """
import sys, typing, pytest
before = set(sys.modules)
import bluestar_store.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    light = ["bluestar_store", "bluestar_store.lazy", "bluestar_store.moved_modules", "bluestar_store.pytest_plugin"]
    assert printed(code) == light


def test_a_run_that_does_not_use_it_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_unrelated(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("bluestar_store")
            ours = {{name for name in sys.modules if name.startswith("bluestar_store")}}
            light = {{"lazy", "moved_modules", "pytest_plugin"}}
            assert ours == {{"bluestar_store", *("bluestar_store." + name for name in light)}}
            assert [name for name in {HEAVY} if name in sys.modules] == []
        """
    )
    # xdist and hypothesis are plugins of this project's own environment, and import what they like.
    pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:xdist").assert_outcomes(passed=1)


def test_it_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(bluestar_store): ...")
    done = pytester.runpytest_subprocess("-p", "no:bluestar_store")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'bluestar_store' not found"])


def test_the_fixtures_are_listed_with_what_they_are(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_subprocess("--fixtures").stdout.str()
    names = """bluestar_store bluestar_dynamo_store bluestar_redis bluestar_clock bluestar_faults bluestar_cache
    bluestar_settings bluestar_kinds seed_rules assert_reads"""
    for name in names.split():
        assert f"\n{name} -- " in shown
    assert "no docstring available" not in shown.partition("bluestar_store.pytest_plugin")[2]


@pytest.mark.parametrize(
    "code",
    [
        "import bluestar_store; [getattr(bluestar_store, name) for name in bluestar_store.__all__]",
        "from bluestar_store import Settings, Store; Store.open(Settings(persistence_mode='memory')).create_tables()",
        "import bluestar_store.persistence, bluestar_store.files, bluestar_store.seeding, bluestar_store.extending",
        "from bluestar_store.cli import app; app(['inspect', '--help'], standalone_mode=False)",
        "import bluestar_store.testing",
    ],
)
def test_nothing_but_the_plugin_imports_pytest(code: str) -> None:
    silently = f"import contextlib, io, sys\nwith contextlib.redirect_stdout(io.StringIO()):\n    {code}\n"
    unwanted = ("pytest", "_pytest", "moto", "fakeredis")
    assert printed(f"{silently}print(*(name for name in {unwanted} if name in sys.modules))") == []


def test_fakes_and_faults_need_no_pytest() -> None:
    code = """
import sys
sys.modules["pytest"] = None
from decimal import Decimal
from bluestar_store import CalculationRule
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.testing import (
    AssertReads, Call, FakeRepository, FaultCache, FaultEngine, Faults, FrozenClock, Hold, READS, Signal, WRITES
)
rules = FakeRepository(CALCULATION_RULE, [CalculationRule(plan_id="GLOBAL", calc_type="match", max_pct=Decimal(6))])
print(rules.get("ACME", "match").max_pct)
"""
    assert printed(code) == ["6"]


def test_every_name_for_tests_is_there_and_documented() -> None:
    import bluestar_store.testing as testing

    assert testing.__all__ == sorted(testing.__all__, key=lambda name: (not name.isupper(), name))
    assert dir(testing) == sorted(testing.__all__)
    assert sorted(name for names in testing._MODULES.values() for name in names) == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'FakeStore'"):
        testing.FakeStore  # noqa: B018 the access is the point
