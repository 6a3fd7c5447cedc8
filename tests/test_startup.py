"""What is loaded when, and that nobody is called before the first call. How long it takes: `benchmarks startup`."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys

import pytest

import bluestar_store.models
from bluestar_store.lazy import lazily
from bluestar_store.models.registry import KINDS
from tests.engines.fakes import http_server

UNASKED = (
    "asyncio",
    "azure",
    "boto3",
    "cryptography",
    "fakeredis",
    "hiredis",
    "moto",
    "opentelemetry",
    "pytest",
    "redis",
    "sqlalchemy",
)
"""What nobody has asked for who opens a Store without Redis; but for asyncio, which units of work load."""
OF_A_STORE = ("botocore", "cachetools", "pydantic_settings", "pynamodb")
"""What a Store needs that is open."""
OF_WRITES = ("sortedcontainers", "tenacity", "ulid")
"""What a Store on DynamoDB needs that writes, or has to try again."""
OF_THE_COMMAND = ("filelock", "rich", "simplejson", "typer")


def printed(code: str) -> list[str]:
    """The words that a new interpreter prints, to which every warning is an error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "BLUESTAR_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    return printed(f"{code}\nimport sys; print(*(name for name in {names!r} if name in sys.modules))")


def test_store_settings_and_errors_are_had_without_what_an_open_store_needs() -> None:
    code = "from bluestar_store import RuleNotFoundError, Store, VersionConflictError"
    assert loaded(code, UNASKED + OF_A_STORE + OF_WRITES + OF_THE_COMMAND) == []
    of_settings = ("asyncio", "pydantic_settings")
    unasked = tuple(name for name in UNASKED + OF_A_STORE if name not in of_settings)
    assert loaded("from bluestar_store import Settings, Store; Settings()", unasked + OF_WRITES) == []


def test_entities_and_their_models_are_had_without_what_an_open_store_needs() -> None:
    entities = "AchConfig, AuditEntry, BatchState, CalculationRule, ClientConfig, FreeState, IrsLimits, PipelineStep"
    more = "PlanHold, StepResult, Trail, ValidationRule, VendorSchema"
    unasked = (*UNASKED, "cachetools", "pydantic_settings")
    code = f"from bluestar_store import Store, {entities}, {more}"
    assert loaded(code, unasked + OF_WRITES + OF_THE_COMMAND) == []


def test_an_entity_is_made_compared_copied_and_pickled() -> None:
    code = """
import pickle
from decimal import Decimal
from bluestar_store import CalculationRule
rule = CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(6))
assert pickle.loads(pickle.dumps(rule)) == rule == rule.model_copy()
assert CalculationRule.model_validate_json(rule.model_dump_json()) == rule
"""
    assert loaded(code, OF_WRITES) == []


def test_an_open_store_loads_no_redis_and_nothing_of_the_command() -> None:
    code = "from bluestar_store import Settings, Store; Store.open(Settings(persistence_mode='memory')).create_tables()"
    unasked = tuple(name for name in UNASKED if name != "asyncio")
    assert loaded(code, unasked + OF_THE_COMMAND) == []


def test_reading_from_dynamodb_loads_nothing_that_only_writes_and_second_attempts_need() -> None:
    with http_server(b'{"Items": [], "Responses": {}, "UnprocessedKeys": {}}') as (url, asked):
        code = f"""
from bluestar_store import RuleNotFoundError, Settings, Store
with Store.open(Settings(dynamodb_endpoint_url="{url}", aws_region="us-east-1")) as store:
    assert store.plans() == store.holds.open("ACME") == store.validation_rules.for_category("SSN") == ()
    try:
        store.calculation_rules.get("ACME", "match")
    except RuleNotFoundError:
        pass
"""
        assert loaded(code, OF_WRITES) == []
    assert {"Query", "Scan", "TransactGetItems"} <= set(asked)


def test_opening_a_store_calls_nobody_before_the_first_call() -> None:
    code = """
import sys
calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event in CALLING else None)
from bluestar_store import AsyncStore, Settings, Store
with Store.open(Settings(aws_region="us-east-1", redis_url="redis://127.0.0.1:1", files_url="s3://bucket")) as store:
    print(repr(store).split("(")[0], store.calculation_rules is not None, AsyncStore(store) is not None)
    store.files, store.bind(__import__("bluestar_store.models").models.CalculationRuleModel)
print(*calls)
"""
    calling = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}
    assert printed(f"CALLING = {calling!r}\n{code}") == ["Store", "True", "True"]


def test_threads_that_are_first_to_use_a_name_get_the_same() -> None:
    code = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-5)
together = threading.Barrier(8)
def use(n):
    together.wait()
    import bluestar_store
    from bluestar_store import Settings
    from bluestar_store.models.vendor import VENDOR_SCHEMA
    from bluestar_store.models.calculation import CalculationRuleModel
    with bluestar_store.Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        store.calculation_rules.put(bluestar_store.CalculationRule(plan_id="GLOBAL", calc_type="match"))
        found = store.calculation_rules.get("ACME", "match")
    return bluestar_store.Store, VENDOR_SCHEMA.entity, CalculationRuleModel, type(found)
with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(use, range(8)))))
"""
    assert printed(code) == ["1"]


def test_every_model_is_given_by_the_package_of_the_models_and_known_to_type_checkers() -> None:
    for mapper in KINDS:
        assert getattr(bluestar_store.models, mapper.model.__name__) is mapper.model
    assert {mapper.model.__name__ for mapper in KINDS} <= set(dir(bluestar_store.models))
    told = re.findall(r"(\w+Model) as \1", inspect.getsource(bluestar_store.models))
    assert sorted(told) == bluestar_store.models.__getattr__("__all__")
    with pytest.raises(AttributeError, match="no attribute 'NothingModel'"):
        bluestar_store.models.NothingModel  # noqa: B018


def test_a_name_that_no_module_has_is_an_attribute_error() -> None:
    get, listed = lazily(__name__, {"bluestar_store.keys": ("GLOBAL",)})
    assert get("GLOBAL") == "GLOBAL"
    assert {"GLOBAL", "printed"} <= set(listed())
    with pytest.raises(AttributeError, match=r"module 'tests\.test_startup' has no attribute 'LOCAL'"):
        get("LOCAL")
