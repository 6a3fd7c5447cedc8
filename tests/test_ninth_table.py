"""One more table of the library's own is a file, a repository and a line; one more attribute is two lines of one file.

Each is tried in a copy of the package, which other processes load in place of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bluestar_store

MODEL = '''
"""pay-calendar: when a plan pays."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import NotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import IntegerAttribute, TextListAttribute
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.mapper import OTHERS, LevelModel, Mapper
from bluestar_store.mapping.values import Count, TextTuple


class PayCalendar(PlanEntity):
    """The pay days of a plan (or DEFAULT) in a year."""

    year: Count
    pay_days: TextTuple = ()


class PayCalendarModel(LevelModel):
    """PynamoDB's view of PayCalendar."""

    class Meta:
        table_name = "pay-calendar"

    plan_id = UnicodeAttribute(null=True)
    year = IntegerAttribute(null=True)
    pay_days = TextListAttribute(attr_name="payDays", null=True)


PAY_CALENDAR = Mapper(
    "pay-calendar",
    PayCalendar,
    PayCalendarModel,
    ItemKeys.of("CLIENT#{plan_id:DEFAULT}", "PAYDAYS#{year:04d}"),
    NotFoundError,
    rule_list="pay_calendars",
    in_snapshot=OTHERS,
    in_store="pay_calendars",
    repository="bluestar_store.repositories.pay_calendars:PayCalendarRepository",
)
'''
REPOSITORY = '''
"""Pay calendars: the plan's own, else DEFAULT's."""

from bluestar_store.models.pay_calendars import PAY_CALENDAR, PayCalendar
from bluestar_store.repositories import OpenStore, Repository


class PayCalendarRepository(Repository[PayCalendar]):
    """Items of the table pay-calendar."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, PAY_CALENDAR)

    def get(self, plan_id: str, year: int, *, fresh: bool = False) -> PayCalendar:
        """The plan's own, else DEFAULT's. Raises NotFoundError."""
        found = self.first((plan_id, year), ("DEFAULT", year), fresh=fresh)
        if found is None:
            raise self.not_found(f"no pay days of {plan_id!r} in {year}")
        return found
'''
FIELD = "    vesting_years: Count | None = None\n"
ATTRIBUTE = '    vesting_years = IntegerAttribute(attr_name="vestingYears", null=True)\n'
LINE = '    "bluestar_store.models.pay_calendars:PAY_CALENDAR",\n'
CALENDARS = [
    {"plan_id": "DEFAULT", "year": 2026, "pay_days": ["2026-01-02"]},
    {"plan_id": "ACME", "year": 2026, "pay_days": ["2026-01-09"]},
]


def copied(folder: Path) -> Path:
    """A copy of the package, in a folder to be put before the others that Python looks into."""
    source = Path(bluestar_store.__path__[0])
    shutil.copytree(source, folder / "bluestar_store", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "bluestar_store"


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = copied(tmp_path_factory.mktemp("nine"))
    (package / "models" / "pay_calendars.py").write_text(MODEL.lstrip())
    (package / "repositories" / "pay_calendars.py").write_text(REPOSITORY.lstrip())
    registry = package / "models" / "registry.py"
    text = registry.read_text()
    assert text.count("BUILT_IN = (\n") == 1
    last = '    "bluestar_store.models.free_form:FREE_STATE",\n'
    registry.write_text(text.replace(last, LINE + last))
    return package.parent


@pytest.fixture(scope="module")
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = copied(tmp_path_factory.mktemp("wider"))
    subject = package / "models" / "calculation.py"
    text = subject.read_text()
    for line, more in (
        ("    description: str | None = None\n", FIELD),
        ("    description = UnicodeAttribute(null=True)\n", ATTRIBUTE),
    ):
        assert text.count(line) == 1
        text = text.replace(line, line + more)
    subject.write_text(text)
    return package.parent


def python(path: Path, code: str, *arguments: str) -> Any:
    """The JSON that a program prints which finds the copy in this folder first."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BLUESTAR_", "COV_", "PYTHON"))
    }
    environment |= {"PYTHONPATH": str(path), "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=path
    )
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


COMMANDS = """
import contextlib, io, json, sys
from bluestar_store.cli import main
answers = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["bluestar-store", "--mode", "file", *arguments, "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            assert end.code in (0, 3, None), (arguments, end.code, out.getvalue())
    answers.append(json.loads(out.getvalue()))
print(json.dumps(answers))
"""


def commands(path: Path, *lines: tuple[str, ...]) -> list[Any]:
    """What each command answers, on files."""
    answers: list[Any] = python(path, COMMANDS, json.dumps(lines))
    return answers


@pytest.fixture(scope="module")
def answers(nine: Path) -> dict[str, Any]:
    """What the commands say of the ninth table, by the command; `store` is left as it is then."""
    (nine / "rules").mkdir()
    (nine / "rules" / "pay-calendar.json").write_text(json.dumps({"pay_calendars": CALENDARS}))
    of, rules = ("--dir", str(nine / "store")), str(nine / "rules")
    lines = {
        "create": (*of, "create"),
        "baseline": (*of, "seed"),
        "seed": (*of, "seed", "--from", rules),
        "dry-run": (*of, "seed", "--from", rules, "--dry-run"),
        "plan": (*of, "inspect", "plan", "ACME"),
        "plans": (*of, "inspect", "plans"),
        "snapshot": (*of, "inspect", "snapshot", "ACME", "Weekly", "2026"),
        "diff": (*of, "inspect", "diff", "ACME", "OMEGA"),
        "doctor": (*of, "doctor"),
        "schema": (*of, "schema", "write", str(nine / "schemas")),
        "policy": (*of, "iam-policy", "reader"),
        "export": (*of, "export", str(nine / "out")),
        "create other": ("--dir", str(nine / "other"), "create"),
        "import": ("--dir", str(nine / "other"), "import", str(nine / "out")),
        "create merged": ("--dir", str(nine / "merged"), "create"),
        "seed merged": ("--dir", str(nine / "merged"), "seed"),
        "merge": ("--dir", str(nine / "merged"), "import", str(nine / "out"), "--merge"),
        "plan merged": ("--dir", str(nine / "merged"), "inspect", "plan", "ACME"),
        "plan other": ("--dir", str(nine / "other"), "inspect", "plan", "ACME"),
    }
    return dict(zip(lines, commands(nine, *lines.values()), strict=True))


def test_a_ninth_table_is_made_seeded_compared_and_inspected(answers: dict[str, Any]) -> None:
    assert "bluestar-pay-calendar" in [table["name"] for table in answers["create"]["tables"]]
    assert len(answers["seed"]["added"]) == 2
    assert answers["dry-run"] == []
    assert "2026-01-09" in json.dumps(answers["plan"])
    assert answers["plans"] == ["ACME"]
    assert [one["pay_days"] for one in answers["snapshot"]["others"]["pay-calendar"]] == [["2026-01-09"]]


def test_a_ninth_table_differs_between_plans(answers: dict[str, Any]) -> None:
    (found,) = answers["diff"]["differences"]
    assert (found["kind"], found["scopes"]) == ("pay-calendar", {"one": "CLIENT", "other": "DEFAULT"})


def test_a_ninth_table_has_a_schema_and_is_in_policies_and_under_the_doctor(
    nine: Path, answers: dict[str, Any]
) -> None:
    assert (nine / "schemas" / "pay-calendar.schema.json").is_file()
    assert "table/bluestar-pay-calendar" in json.dumps(answers["policy"])
    assert "pay-calendar" not in json.dumps(answers["doctor"])


def test_a_ninth_table_is_exported_imported_and_merged(answers: dict[str, Any]) -> None:
    assert "pay-calendar" in json.dumps(answers["export"])
    assert answers["plan merged"] == answers["plan other"] == answers["plan"]


IN_PROCESS = """
import asyncio, json, sys
from bluestar_store import AsyncStore, Settings, Store, Trail
from bluestar_store.models import PayCalendarModel
from bluestar_store.models.pay_calendars import PAY_CALENDAR, PayCalendar
from bluestar_store.warming import warm
with Store.open(Settings(persistence_mode="file", file_persistence_dir=sys.argv[1])) as store:
    calendars = store.pay_calendars
    before = store.plan_snapshot("ACME", "Weekly", 2026)
    calendars.put(calendars.get("ACME", 2026).model_copy(update={"pay_days": ("2026-02-06",)}))
    after = store.plan_snapshot("ACME", "Weekly", 2026)
    batch = store.batches.start("ACME", "Weekly", 2026)
    calendars.put(calendars.get("ACME", 2026).model_copy(update={"pay_days": ("2026-02-13",)}))
    trail = Trail(table="pay-calendar", partition="CLIENT#ACME")
    warm(store, ["ACME"])
    at = PAY_CALENDAR.item_cache_key("ACME", 2026)
    warmed = store.cache.explain(at).tier
    store.cache.invalidate("pay-calendar", {"plan_id": "ACME", "year": 2026})
    forgotten = store.cache.explain(at).tier
    async def read():
        awaited = AsyncStore(store)
        own = await awaited.repository(PAY_CALENDAR).current([PayCalendar(plan_id="ACME", year=2026)])
        return [*own.values(), await awaited.pay_calendars.get("OMEGA", 2026)]
    print(json.dumps({
        "inherited": calendars.get("OMEGA", 2026).inherited_by,
        "snapshot": [one.pay_days for one in after.others["pay-calendar"]],
        "digests": before.digest != after.digest,
        "pinned": [name for name in after.item_digests if name.startswith("pay-calendar/")],
        "changed": [str(name) for name in vars(store.batches.verify_rules(batch))["changed"]],
        "trail": len(store.audit.entries(trail)),
        "overrides": [type(one).__name__ for one in store.overrides("ACME")],
        "awaited": [one.pay_days for one in asyncio.run(read())],
        "cache": [warmed, forgotten],
        "model": PayCalendarModel is PAY_CALENDAR.model,
    }))
"""


def test_a_ninth_table_is_part_of_snapshots_pins_trails_overrides_the_cache_and_the_async_store(
    nine: Path, answers: dict[str, Any]
) -> None:
    found = python(nine, IN_PROCESS, str(nine / "store"))
    item = "pay-calendar/CLIENT#ACME/PAYDAYS#2026"
    assert found.pop("trail") >= 2
    assert found == {
        "inherited": "OMEGA",
        "snapshot": [["2026-02-06"]],
        "digests": True,
        "pinned": [item],
        "changed": [item],
        "overrides": ["PayCalendar"],
        "awaited": [["2026-02-13"], ["2026-01-02"]],
        "cache": ["process", "nowhere"],
        "model": True,
    }


WIDER = """
import json
from decimal import Decimal
from bluestar_store import CalculationRule, Settings, Store
from bluestar_store.rulesets.json_schemas import json_schemas
from bluestar_store.rulesets.plan_difference import diff_plans
with Store.open(Settings(persistence_mode="memory")) as store:
    store.create_tables()
    store.calculation_rules.put(CalculationRule(plan_id="GLOBAL", calc_type="match", vesting_years=3))
    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", vesting_years=6))
    (item,) = store.engine.query("bluestar-calculation-rules", "CLIENT#ACME").items
    (difference,) = diff_plans(store, "ACME", "OMEGA")
    print(json.dumps({
        "read": store.calculation_rules.get("ACME", "match", fresh=True).vesting_years,
        "item": item["vestingYears"],
        "schema": "vesting_years" in json.dumps(json_schemas()["calculation-rules.schema.json"]),
        "differs": [change.name if hasattr(change, "name") else change.attribute for change in difference.changes],
    }))
"""


def test_an_attribute_is_two_lines_and_is_kept_described_and_compared(wider: Path) -> None:
    found = python(wider, WIDER)
    assert found == {"read": 6, "item": {"N": "6"}, "schema": True, "differs": ["vesting_years"]}


def test_an_attribute_can_be_set_and_seen_at_a_terminal(wider: Path) -> None:
    of = ("--dir", str(wider / "store"))
    rule = ("rule", "set", "ACME", "match", "vesting_years=6", "--yes")
    *_, seen = commands(wider, (*of, "create"), (*of, *rule), (*of, "inspect", "plan", "ACME"))
    assert '"vesting_years": 6' in json.dumps(seen)


def test_one_of_the_two_lines_alone_is_an_error_that_names_both_classes(wider: Path, tmp_path: Path) -> None:
    package = copied(tmp_path)
    subject = package / "models" / "calculation.py"
    line = "    description: str | None = None\n"
    subject.write_text(subject.read_text().replace(line, line + FIELD))
    code = """
import json
try:
    import bluestar_store.models.calculation
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    name, text = python(tmp_path, code)
    assert (name, text) == (
        "ConfigurationError",
        "kind calculation-rule: CalculationRuleModel has no attribute for vesting_years, which CalculationRule has",
    )
