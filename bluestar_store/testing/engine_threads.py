"""Many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from bluestar_store.errors import ConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Engine, Put, Update
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item

THREADS = 4
ROUNDS = 10
KEY = Key("A", "A")


class ThreadSuite(EngineCase):
    """Concurrent writers and readers of one engine."""

    def test_threads_that_count_up_one_version_lose_no_update(self, engine: Engine, door: SideDoor, table: str) -> None:
        self.needs(self.isolated_transactions, "isolated transactions")
        door.put(table, item("A", version=1))

        def count_up(thread: int) -> None:
            for _ in range(ROUNDS):
                done = False
                while not done:
                    with suppress(ConflictError):
                        increment(engine, table, f"by{thread}")
                        done = True

        at_once(count_up)
        found = door.get(table, KEY)
        assert found is not None
        assert found["version"] == {"N": str(1 + THREADS * ROUNDS)}
        assert {found[f"by{thread}"]["N"] for thread in range(THREADS)} == {str(ROUNDS)}

    def test_of_many_threads_that_create_one_item_exactly_one_succeeds(self, engine: Engine, table: str) -> None:
        self.needs(self.isolated_transactions, "isolated transactions")
        winners: list[int] = []

        def create(thread: int) -> None:
            with suppress(ConflictError):
                engine.write(Put(table, item("A", by=str(thread)), ABSENT))
                winners.append(thread)

        at_once(create)
        assert len(winners) == 1
        assert engine.get(table, [KEY], consistent=True) == {KEY: item("A", by=str(winners[0]))}

    def test_an_isolated_get_never_sees_a_part_of_a_transaction(self, engine: Engine, table: str) -> None:
        self.needs(self.isolated_transactions, "isolated transactions")
        stop = threading.Event()
        pair = (table, item("A")), (table, item("B"))
        engine.write(*(Put(name, one | {"n": {"N": "0"}}) for name, one in pair))

        def write_or_read(thread: int) -> None:
            if thread == 0:
                try:
                    for number in range(1, 20):
                        engine.write(*(Put(name, one | {"n": {"N": str(number)}}) for name, one in pair))
                finally:
                    stop.set()
                return
            while not stop.is_set():
                with suppress(ConflictError):
                    found = engine.get_isolated(table, [KEY, Key("B", "A")])
                    assert len({one["n"]["N"] for one in found.values()}) == 1

        at_once(write_or_read)

    def test_threads_may_use_all_calls_at_once(self, engine: Engine, table: str) -> None:
        self.needs(self.isolated_transactions, "isolated transactions")

        def use(thread: int) -> None:
            mine = f"T{thread}"
            for number in range(ROUNDS):
                engine.write(Put(table, item(mine, f"S{number}"), ABSENT))
                assert len(engine.query(table, mine, consistent=True).items) == number + 1
                assert engine.get(table, [Key(mine, f"S{number}")], consistent=True)
                engine.scan(table, limit=3)

        at_once(use)
        assert len(engine.scan(table, consistent=True).items) == THREADS * ROUNDS


def increment(engine: Engine, table: str, counter: str) -> None:
    """Read item A, and write it with its version and a counter of the caller's one higher."""
    found = engine.get(table, [KEY], consistent=True)[KEY]
    version = int(found["version"]["N"])
    mine = int(found.get(counter, {"N": "0"})["N"])
    changes = {"version": {"N": str(version + 1)}, counter: {"N": str(mine + 1)}}
    engine.write(Update(table, KEY, changes, expect=version))


def at_once(work: Callable[[int], None]) -> None:
    """Run it in all threads from one moment on; raises what one of them raised."""
    barrier = threading.Barrier(THREADS)

    def run(thread: int) -> None:
        barrier.wait()
        work(thread)

    with ThreadPoolExecutor(THREADS) as pool:
        for result in [pool.submit(run, thread) for thread in range(THREADS)]:
            result.result()
