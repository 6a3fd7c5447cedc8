"""What `import bluestar_store` promises: these names, with types, and nothing heavy imported before it is used."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import subprocess
import sys
from enum import Enum
from importlib.metadata import version
from pathlib import Path

import pytest

import bluestar_store
from bluestar_store import errors
from bluestar_store.errors import BlueStarError
from bluestar_store.mapping.entity import Entity
from bluestar_store.models.registry import KINDS

ROOT = Path(__file__).parent.parent
PROMISED = {
    "ABSENT", "ANY", "AsyncStore", "DEFAULT", "GLOBAL", "PersistenceMode", "PlanSnapshot", "RuleSetProblem", "Scope",
    "Settings", "Store", "TableLayout", "__version__",
    # entities and their enums
    "AchConfig", "AuditEntry", "BatchRules", "BatchState", "BatchStatus", "CalculationRule", "ChainHead",
    "ClientConfig", "Entity", "FreeResult", "FreeState", "HoldGuard", "IrsLimits", "PipelineStep", "PlanHold",
    "PlanKey", "SensitiveText", "StepClaim", "StepResult", "Trail", "ValidationRule", "VendorSchema",
}  # fmt: skip
"""Public names besides the errors."""
ERRORS = """
BlueStarError ConfigurationError InvalidKeyError ItemDecodeError NotFoundError RuleNotFoundError BatchNotFoundError
HoldNotFoundError ConflictError AlreadyExistsError VersionConflictError TransactionConflictError EngineError
ThrottledError UnavailableError AccessDeniedError ItemTooLargeError CacheError FileStoreError FileMissingError SeedError
"""
"""Errors that users catch by name; there are more."""


def run(code: str) -> str:
    """What the code prints in a new interpreter."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_all_is_sorted_and_without_doubles() -> None:
    names = bluestar_store.__all__
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))


def test_every_name_can_be_imported_and_is_listed() -> None:
    for name in bluestar_store.__all__:
        assert getattr(bluestar_store, name) is not None
    assert dir(bluestar_store) == sorted(bluestar_store.__all__)
    named = [name for names in bluestar_store._MODULES.values() for name in names]
    assert sorted(named) == sorted(bluestar_store.__all__)
    given = set(run("before = {*dir()}; from bluestar_store import *; print(*{*dir()} - before)").split()) - {"before"}
    assert given == set(bluestar_store.__all__)


def test_the_names_that_type_checkers_see_are_those_that_exist() -> None:
    (guarded,) = (one for one in ast.parse(inspect.getsource(bluestar_store)).body if isinstance(one, ast.If))
    seen = {name.name for one in guarded.body if isinstance(one, ast.ImportFrom) for name in one.names}
    assert seen == set(bluestar_store.__all__)


def test_the_names_that_users_import_are_there() -> None:
    assert set(bluestar_store.__all__) >= PROMISED | set(ERRORS.split())
    assert set(bluestar_store.__all__) - PROMISED == set(errors.__all__) - PROMISED


def test_every_entity_and_enum_is_exported() -> None:
    exported = {getattr(bluestar_store, name) for name in bluestar_store.__all__}
    assert {mapper.entity for mapper in KINDS} <= exported
    for entity in exported:
        if isinstance(entity, type) and issubclass(entity, Entity):
            enums = [a for field in entity.model_fields.values() for a in _parts(field.annotation) if _is_enum(a)]
            assert set(enums) <= exported


def _parts(annotation: object) -> list[object]:
    return [annotation, *getattr(annotation, "__args__", ())]


def _is_enum(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Enum)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Stoer'"):
        bluestar_store.Stoer  # noqa: B018 the access is the point


def test_every_error_is_exported_documented_and_a_bluestar_error() -> None:
    defined = {
        name
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, BlueStarError) and not name.startswith("_")
    }
    assert defined | {"RuleSetProblem"} == set(errors.__all__)
    tree = errors.__doc__ or ""
    for name in defined:
        assert getattr(errors, name).__doc__
        assert name in tree


def test_errors_are_also_what_python_calls_them() -> None:
    assert issubclass(bluestar_store.InvalidKeyError, ValueError)
    assert issubclass(bluestar_store.NotFoundError, LookupError)
    assert issubclass(bluestar_store.RuleNotFoundError, bluestar_store.NotFoundError)
    assert issubclass(bluestar_store.VersionConflictError, bluestar_store.ConflictError)
    assert issubclass(bluestar_store.ThrottledError, bluestar_store.EngineError)


def test_settings_errors_and_expectations_are_had_without_the_aws_sdk_and_redis() -> None:
    code = "from bluestar_store import Settings, RuleNotFoundError, ABSENT, SeedError; Settings()"
    heavy = ("boto3", "botocore", "pynamodb", "redis")
    assert run(f"{code}; import sys; print(*[name for name in {heavy!r} if name in sys.modules])").split() == []


def test_the_version_is_that_of_the_distribution_and_is_looked_up_when_asked_for() -> None:
    assert bluestar_store.__version__ == version("bluestar-store")
    loaded = "print('importlib.metadata' in sys.modules, end=' ')"
    code = f"import sys, bluestar_store; {loaded}; bluestar_store.__version__; {loaded}"
    assert run(code).split() == ["False", "True"]


def test_a_copy_without_its_metadata_has_a_version_too(tmp_path: Path) -> None:
    (tmp_path / "bluestar_store").symlink_to(ROOT / "bluestar_store")
    command = [sys.executable, "-S", "-c", "from bluestar_store import __version__; print(__version__)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "0+unknown\n"


def test_importing_the_package_imports_no_sdk_at_all() -> None:
    heavy = ("boto3", "botocore", "pynamodb", "redis", "pydantic")
    assert run(f"import bluestar_store, sys; print(*[n for n in {heavy!r} if n in sys.modules])").split() == []


def test_the_package_says_that_it_is_typed() -> None:
    spec = importlib.util.find_spec("bluestar_store")
    assert spec is not None
    assert spec.origin is not None
    assert (Path(spec.origin).parent / "py.typed").is_file()


@pytest.mark.slow
def test_the_typed_examples_and_implementations_are_accepted_by_mypy() -> None:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "tests/typing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
