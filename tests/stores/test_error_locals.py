"""Errors whose tracebacks are reported with local variables show no account number, wherever it was read or written."""

from __future__ import annotations

import pickle
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bluestar_store import ABSENT, AchConfig, ClientConfig, Settings, Store, seeding
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.protocols import Put
from tests.seeded import seeded_store
from tests.store_suite.side_door import wire

ACCOUNT, SSN = "998877665541", "987-65-4329"
ACH = AchConfig(plan_id="ACME", pay_freq="Weekly", account_number=ACCOUNT)


@pytest.fixture(scope="module")
def _seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeded") / "store"
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=folder)) as store:
        store.create_tables()
        seeding.load(store, seeding.baseline())
    return folder


def opened(mode: str, seeded: Path, folder: Path) -> Store:
    if mode == "memory":
        return seeded_store()
    shutil.copytree(seeded, folder)
    return Store.open(Settings(persistence_mode="file", file_persistence_dir=folder))


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, _seeded: Path, tmp_path: Path) -> Iterator[Store]:
    with opened(request.param, _seeded, tmp_path / "store") as store:
        store.ach_configs.put(ACH)
        name = store.tables.name(ACH_CONFIG)
        store.engine.write(
            Put(name, wire("CLIENT#BAD_Weekly", "ACH", account_number=ACCOUNT, version="x", employee_ssn=SSN)),
            Put(name, wire("CLIENT#ODD_Weekly", "ACH", account_number=ACCOUNT, bank_id={"N": "1"}, employee_ssn=SSN)),
            Put(name, wire("CLIENT#SSN_Weekly", "CONFIG", deadline_hour={"N": "99"}, employee_ssn=SSN)),
        )
        yield store


def conflict_of_versions(store: Store) -> None:
    read = store.ach_configs.get("ACME", "Weekly", fresh=True)
    store.ach_configs.put(read.model_copy(update={"bank_id": "A"}))
    store.ach_configs.put(read.model_copy(update={"bank_id": "B"}))


def conflict_in_a_unit(store: Store) -> None:
    read = store.ach_configs.get("ACME", "Weekly", fresh=True)
    with store.unit_of_work() as uow:
        uow.check(read)
        uow.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly"))
        name = store.tables.name(ACH_CONFIG)
        store.engine.write(Put(name, wire("CLIENT#ACME_Weekly", "ACH", account_number=ACCOUNT, version={"N": "9"})))


def result_conflict(store: Store) -> None:
    for number in (1, 2):
        store.results.save("b", 1, {"rows": ({"ssn": SSN, "n": number},)})


FAILING: dict[str, Callable[[Store], object]] = {
    "conflict of versions": conflict_of_versions,
    "conflict in a unit": conflict_in_a_unit,
    "result conflict": result_conflict,
    "exists": lambda store: store.ach_configs.put(ACH, expected=ABSENT),
    "expected version": lambda store: store.ach_configs.put(ACH, expected=9),
    "bad version": lambda store: store.ach_configs.get("BAD", "Weekly"),
    "bad attribute": lambda store: store.ach_configs.get("ODD", "Weekly", fresh=True),
    "bad config": lambda store: store.client_configs.get("SSN", "Weekly"),
    "put over a bad one": lambda store: store.ach_configs.put(ACH.model_copy(update={"plan_id": "BAD"})),
    "delete of a bad one": lambda store: store.ach_configs.delete(ACH.model_copy(update={"plan_id": "BAD"})),
    "current": lambda store: store.ach_configs.current([ACH.model_copy(update={"plan_id": "ODD"})]),
    "snapshot": lambda store: store.plan_snapshot("ODD", "Weekly", 2026),
    "start": lambda store: store.batches.start("ODD", "Weekly", 2026),
    "overrides": lambda store: store.overrides("ODD") or store.at_level("ODD"),
    "invalid copy": lambda store: store.ach_configs.put(ACH.model_copy(update={"account_number": int(ACCOUNT)})),
    "invalid key": lambda store: store.ach_configs.put(ACH.model_copy(update={"plan_id": "A#B"})),
    "too large": lambda store: store.ach_configs.put(ACH.model_copy(update={"bank_id": "x" * 500_000})),
    "load": lambda store: seeding.load(
        store, seeding.RuleSet((ACH.model_copy(update={"account_number": int(ACCOUNT)}),)), overwrite=True
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_no_error_shows_an_account_number_in_its_locals(store: Store, what: str) -> None:
    try:
        FAILING[what](store)
    except Exception as error:
        inner = error.__traceback__.tb_next if error.__traceback__ else None
        stack = traceback.TracebackException(type(error), error, inner, capture_locals=True)
        told = "".join(stack.format()) + repr(error) + repr(pickle.dumps(error))
        lines = [line for line in told.splitlines() if ACCOUNT in line or SSN in line]
        assert lines == []
    else:
        pytest.fail("nothing was raised")
