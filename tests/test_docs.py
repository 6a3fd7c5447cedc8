"""The documentation is true: its Python prints what it says, its commands work, its links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bluestar_store.files import FileStore
from bluestar_store.plugins import members
from bluestar_store.protocols import Cache, Engine, ReadsPlaces, TellsTables
from bluestar_store.testing.engine_case import EngineCase

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *DOCS.glob("**/*.md"),
        *ROOT.glob("localstack/*.md"),
        *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "README", "SECURITY", "tests/README")),
    ]
)
FOLDER = "build/docs-store"
"""The folder that the pages' commands use; the tests give them one of their own."""


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [text for name, text in found if name == language]


def having(language: str) -> list[Path]:
    return [page for page in PAGES if page.parent == DOCS and blocks(page, language)]


@pytest.mark.parametrize("page", having("python"), ids=lambda page: page.stem)
def test_its_python_prints_what_it_says(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    namespace: dict[str, object] = {"__name__": page.stem.replace("-", "_")}
    for block in blocks(page, "python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, page.name, "exec", dont_inherit=True), namespace)  # noqa: S102  # the documentation is ours
        promised = [line.removeprefix("#> ") for line in block.splitlines() if line.startswith("#> ")]
        assert printed.getvalue().splitlines() == promised


@pytest.mark.slow
@pytest.mark.parametrize("page", having("sh"), ids=lambda page: page.stem)
def test_its_commands_work(page: Path, tmp_path: Path) -> None:
    """The blocks of a page are one session in a shell; what needs a server stands in `console` blocks."""
    if shutil.which("diff") is None and any("diff " in block for block in blocks(page, "sh")):
        pytest.skip("the page compares folders with diff, which is not on PATH")
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    script = "set -e\n" + "\n".join(blocks(page, "sh")).replace(FOLDER, str(tmp_path / "store"))
    done = subprocess.run(  # the documentation is ours
        ["/bin/sh", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_engine_of_the_example_passes_its_suite(tmp_path: Path) -> None:
    module = tmp_path / "test_telling.py"
    module.write_text("\n".join(blocks(DOCS / "adding-an-engine.md", "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(module)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def listed(page: str, heading: str) -> set[str]:
    """The names in the first column of the page's last table under a heading."""
    table = (DOCS / page).read_text(encoding="utf-8").rpartition(f"| {heading} | ")[2].partition("\n\n")[0]
    return {name for row in re.findall(r"^\|([^|]+)\|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize(
    ("page", "protocol"), [("adding-an-engine.md", Engine), ("files.md", FileStore), ("cache.md", Cache)]
)
def test_the_table_of_a_seam_names_all_that_its_protocol_asks_for(page: str, protocol: type) -> None:
    assert listed(page, "member") == set(members(protocol))


def test_the_engine_page_names_all_abilities_and_the_flags_of_the_suite() -> None:
    # The first is a parameter. The last two have no protocol: a class says the one, the other is DynamoDB's alone.
    besides = {"before_attempt", "settles_at_once", "connection"}
    abilities = {*members(ReadsPlaces), *members(TellsTables), *besides} - set(members(Engine))
    assert listed("adding-an-engine.md", "ability") == abilities
    flags = {name for name, value in vars(EngineCase).items() if isinstance(value, bool)}
    assert listed("adding-an-engine.md", "flag") == flags


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_names_no_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(home|Users|work|root|tmp)/|https?://(?!localhost|127\.0\.0\.1)", text)


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index] == []


def test_the_table_of_keys_is_that_of_the_models() -> None:
    from bluestar_store.models.registry import KINDS

    text = (DOCS / "tables-and-keys.md").read_text(encoding="utf-8")
    for mapper in KINDS:
        assert f"`{mapper.table}`" in text
        assert f"`{mapper.entity.__name__}`" in text
        for template in (mapper.keys.sort, *(template for template, _ in mapper.keys.forms)):
            assert re.sub(r":(plain|raw|GLOBAL|DEFAULT)\}", "}", template.text) in text
    attributes = {name for mapper in KINDS for name in mapper.model.get_attributes() if name.startswith("bs_")}
    others = {on.attr_name for mapper in KINDS for name, on in mapper.attributes.items() if on.attr_name != name}
    assert [name for name in attributes | others if f"`{name}`" not in text] == []


def test_every_check_of_meaning_is_explained_and_has_a_name_to_switch_it_off_by() -> None:
    from bluestar_store.checks.fields import NAMES
    from bluestar_store.checks.meaning import declared
    from bluestar_store.mapping.entity import Entity
    from bluestar_store.models.registry import KINDS

    text = (DOCS / "rule-sets.md").read_text(encoding="utf-8")
    entities: list[type[Entity]] = [mapper.entity for mapper in KINDS]
    assert {check.name for entity in entities for _, check in declared(entity)} == {*NAMES}
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def test_every_check_of_the_doctor_is_explained() -> None:
    text = (DOCS / "quickstart.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bluestar_store" / "doctor").glob("*.py"))
    checks = set(re.findall(r"Severity\.(?:ERROR|WARNING|INFO|\w+), \"([a-z-]+)\"", sources))
    assert len(checks) > 8
    assert [check for check in checks if f"`{check}`" not in text and check != "index-attributes-wrong"] == []


def test_every_iam_action_is_explained() -> None:
    from bluestar_store.iam import ACTIONS, Role, policy
    from bluestar_store.models.tables import Tables
    from bluestar_store.settings import TableLayout

    text = (DOCS / "iam.md").read_text(encoding="utf-8")
    found = policy(Tables("bluestar-", "", TableLayout.PER_TABLE), Role.OPERATOR)
    actions = {action.removeprefix("dynamodb:") for one in found["Statement"] for action in one["Action"]}
    assert actions == {action for call in ACTIONS.values() for action in call} - {"DeleteTable"}
    assert [action for action in actions if action not in text] == []


def generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_reference_is_current() -> None:
    """`make docs` brings it up to date."""
    if os.environ.get("BLUESTAR_TEST_LOWEST") == "1":
        pytest.skip("older releases of typer say the same in another form")
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == generator("generate_cli").page()


def test_the_page_of_settings_is_current() -> None:
    """`make docs` brings it up to date."""
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == generator("generate_settings").page()


def test_every_setting_is_told_with_its_group_and_meaning() -> None:
    from bluestar_store import Settings

    told = generator("generate_settings").told()
    assert sorted(told) == sorted(Settings.model_fields)
    assert [name for name, (group, text) in told.items() if not group or len(text) < 10] == []


def test_the_start_script_is_a_script() -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not on PATH")
    script = ROOT / "localstack" / "start.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)


def test_the_compose_file_and_what_is_said_of_it_agree() -> None:
    yaml = pytest.importorskip("yaml")
    compose: dict[str, Any] = yaml.safe_load((ROOT / "localstack" / "docker-compose.yml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert {name: service["image"] for name, service in services.items()} == {
        "localstack": "localstack/localstack:4.14.0",
        "dynamodb-local": "amazon/dynamodb-local:3.3.1",
        "redis": "redis:7",
    }
    assert services["dynamodb-local"]["profiles"] == ["dynamodb-local"]
    script = (ROOT / "localstack" / "start.sh").read_text(encoding="utf-8")
    page = (ROOT / "localstack" / "README.md").read_text(encoding="utf-8")
    for service in services.values():
        (port,) = service["ports"]
        host, number, _ = port.split(":")
        assert host == "127.0.0.1"
        assert f"127.0.0.1:{number}" in script
        assert number in page


def test_the_tests_on_the_page_of_tests_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("\n".join(blocks(DOCS / "testing.md", "python")))
    done = pytester.runpytest_inprocess("--rootdir", str(ROOT), "-p", "no:cacheprovider", "-c", os.devnull)
    done.assert_outcomes(passed=14)
