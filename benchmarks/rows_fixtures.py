"""What a test pays for a Store of its own: the plugin's copy of a seeded one, and one that is seeded anew."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.measure import Contender, compare, repeated
from benchmarks.report import Line
from bluestar_store import CalculationRule, Settings, Store, seeding
from bluestar_store.testing import Faults
from bluestar_store.testing.stores import Seeded, StoreRequest, Stores

ANEW = "a Store in memory, seeded anew"


def rows(bench: Bench) -> Iterator[Line]:
    """Each Store is opened, read and closed. The baseline's files are read once, outside of what is measured."""
    shared, baseline = Seeded(), seeding.baseline()

    def copied() -> object:
        with Stores(shared, StoreRequest({}, (), Faults(()))).memory() as store:
            return store.calculation_rules.get("ACME", "match")

    def anew() -> object:
        with Store.open(Settings(persistence_mode="memory")) as store:
            store.create_tables()
            seeding.load(store, baseline)
            return store.calculation_rules.get("ACME", "match")

    contenders: list[Contender] = [
        repeated(name, work, lambda answer: isinstance(answer, CalculationRule))
        for name, work in (("bluestar_store, the fixture", copied), (ANEW, anew))
    ]
    yield from compare(
        "seeded Store for a test", contenders, {ANEW: 0.1}, rounds=bench.rounds(60, least=2), calls=1, unit="ms"
    )
