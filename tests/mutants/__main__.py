"""Mutation tests (`make mutants`): the core's code, changed in one small thing at a time, against the tests of it.

A mutant that no test fails for shows a rule that nobody holds. Each target is changed in a copy of the tree, by mutmut,
which runs the tests that call the changed function, the quickest first. Prints the share that was killed, and which
survived; fails under 85 %. `known` are the mutants of known.py, each of which has to be killed.
"""

from __future__ import annotations

import argparse
import configparser
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.known import KNOWN

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
COPIED = ("bluestar_store", "tests", "fixtures", "docs", "benchmarks", "localstack", "pyproject.toml", "README.md")
COPIED_TOO = ("CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "Makefile", "constraints.txt")
WANTED = 0.85
TIMEOUT_SECONDS, TIMEOUT_FACTOR = 5, 2
"""Beside a mutant's tests' own time, and times it: pauses and waits that a mutant makes endless are found."""
KILLED = (1, 3, -24, 24, 152)
"""Exit codes by which mutmut keeps that tests failed, or took all of their processor time: an endless loop is found."""
SURVIVED = (0, 33)
"""Exit codes by which it keeps that all tests passed, or that none calls the function."""


@dataclass(frozen=True)
class Target:
    """Files to change, and the tests that are to notice."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


UNITS = (
    "tests/stores/test_transaction_rules.py",
    "tests/stores/test_confirmed_rules.py",
    "tests/stores/test_unit_contexts.py",
)
CHANGES = (
    "tests/stores/test_change_rules.py",
    "tests/stores/test_inherited.py",
)
CACHE_MODULES = ("control", "tiered", "read_through", "local", "in_flight", "limits")
"""Those of this process."""
CACHE_TESTS = (
    *("local", "local_loads", "in_flight", "read_through", "limits", "tiered", "tiered_messages", "opening"),
    *("control", "own_caches", "moments", "refreshes", "before_attempt"),
)
"""Quick ones."""

TARGETS = {
    "keys": Target(("bluestar_store/keys.py",), ("tests/test_keys.py", "tests/test_key_templates.py")),
    "mapper": Target(
        ("bluestar_store/mapping/mapper.py", "bluestar_store/mapping/declaration.py"),
        (
            "tests/test_mapper.py",
            "tests/test_models.py",
            "tests/test_entities.py",
            "tests/test_decoding.py",
            "tests/test_registration.py",
            "tests/test_registration_fields.py",
        ),
    ),
    "changes": Target(("bluestar_store/repositories/changes.py",), (*UNITS, *CHANGES)),
    "transaction": Target(("bluestar_store/repositories/transaction.py",), UNITS),
    "cache": Target(
        tuple(f"bluestar_store/cache/{name}.py" for name in CACHE_MODULES),
        tuple(f"tests/cache/test_{name}.py" for name in CACHE_TESTS),
    ),
    "redis": Target(("bluestar_store/cache/redis/*",), ("tests/cache",)),
}
"""`redis` takes hours: mostly `--sample` some of it."""


def main() -> int:
    """Exit code 1 where a target has fewer killed than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*TARGETS, "known")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(names)}; all of them, when none is named")
    parser.add_argument("--sample", type=int, help="of each target only this many mutants, chosen by chance")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    asked = options.targets or names
    if unknown := set(asked).difference(names):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    shares = [_run(name, options.sample, options.workers) for name in TARGETS if name in asked]
    known = _run_known() if "known" in asked else ()
    return 1 if known or any(share < WANTED for share in shares) else 0


def _run_known() -> list[str]:
    """The names of the mutants of known.py that survived."""
    folder = BUILD / "known"
    _copy(folder)
    survivors = []
    for mutant in KNOWN:
        changed = folder / mutant.file
        code = changed.read_text()
        changed.write_text(code.replace(mutant.old, mutant.new))
        pytest = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests)
        if subprocess.run(pytest, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode != 1:
            survivors.append(mutant.name)
        changed.write_text(code)
    print(f"known: {len(KNOWN) - len(survivors)} of {len(KNOWN)} mutants killed; survivors:", *survivors, sep="\n  ")
    return survivors


def _run(name: str, sample: int | None, workers: int) -> float:
    folder, target = BUILD / name, TARGETS[name]
    _copy(folder)
    _configure(folder, target)
    mutmut = (sys.executable, "-m", "mutmut", "run", "--max-children", str(workers))
    named: Sequence[str] = ()
    if sample is not None:
        subprocess.run((*mutmut, "bluestar_store.no_such_mutant"), cwd=folder, check=False)
        made = sorted(_outcomes(folder))
        named = random.Random(name).sample(made, min(sample, len(made)))
    subprocess.run((*mutmut, *named), cwd=folder, check=False)
    outcomes = {mutant: code for mutant, code in _outcomes(folder).items() if code is not None}
    survivors = sorted(mutant for mutant, code in outcomes.items() if code in SURVIVED)
    killed = sum(code in KILLED for code in outcomes.values())
    share = killed / max(len(outcomes), 1)
    print(
        f"{name}: {killed} of {len(outcomes)} mutants killed ({share:.0%}); survivors, for `mutmut show` in {folder}:"
    )
    print(*(f"  {mutant}" for mutant in survivors), sep="\n")
    return share


def _copy(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for one in (*COPIED, *COPIED_TOO):
        if (ROOT / one).is_dir():
            shutil.copytree(ROOT / one, folder / one, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / one).exists():
            shutil.copy(ROOT / one, folder / one)


def _configure(folder: Path, target: Target) -> None:
    settings = configparser.ConfigParser()
    settings["mutmut"] = {
        "source_paths": "bluestar_store",
        "only_mutate": _lines(target.files),
        "also_copy": _lines((*COPIED[2:], *COPIED_TOO)),
        "pytest_add_cli_args": _lines(("-p", "no:cacheprovider", "-m", "not slow")),
        "pytest_add_cli_args_test_selection": _lines(target.tests),
        "timeout_constant": str(TIMEOUT_SECONDS),
        "timeout_multiplier": str(TIMEOUT_FACTOR),
    }
    with (folder / "setup.cfg").open("w") as file:
        settings.write(file)


def _lines(values: Sequence[str]) -> str:
    return "\n" + "\n".join(values)


def _outcomes(folder: Path) -> dict[str, int | None]:
    """What mutmut keeps of each mutant: the exit code of its tests, None before they have run."""
    found: dict[str, int | None] = {}
    for kept in (folder / "mutants").rglob("*.py.meta"):
        found |= json.loads(kept.read_text())["exit_code_by_key"]
    return found


if __name__ == "__main__":
    sys.exit(main())
