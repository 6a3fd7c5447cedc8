"""A process that writes into a folder, for the tests of the file engine: python -m tests.engines.writer_process.

Every line on stdout is one acknowledged write. A job is named by the first argument.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from bluestar_store.engines.file import engine as file
from bluestar_store.errors import ConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, ANY, Put, Update, Write

TABLES = ("bluestar-one", "bluestar-two", "bluestar-three")
COUNTER = Key("COUNTER", "A")


def count_up(folder: Path, name: str, rounds: int) -> None:
    """Raise the version of one item, which others raise too, and a counter of this process's own."""
    engine = file.FileEngine(folder)
    for number in range(1, rounds + 1):
        done = False
        while not done:
            version = int(engine.get(TABLES[0], [COUNTER])[COUNTER]["version"]["N"])
            changes = {"version": {"N": str(version + 1)}, name: {"N": str(number)}}
            with suppress(ConflictError):
                engine.write(Update(TABLES[0], COUNTER, changes, expect=version))
                done = True
    engine.close()


def write_for_ever(folder: Path, name: str, checkpoint_bytes: int) -> None:
    """Transactions over all tables, each announced on stdout once it is acknowledged."""
    file.CHECKPOINT_BYTES = checkpoint_bytes
    engine = file.FileEngine(folder)
    head = Key(name, "HEAD")
    found = engine.get(TABLES[0], [head])
    number = int(found[head]["version"]["N"]) if found else 0
    print("ready", flush=True)
    while True:
        number += 1
        n = {"N": str(number)}
        heads: list[Write] = [Update(table, head, {"version": n}, expect=ANY) for table in TABLES]
        text = {"S": f"é{number}" * 40}
        rows = [
            Put(table, {"PK": {"S": name}, "SK": {"S": f"ROW#{number:06d}"}, "text": text}, ABSENT) for table in TABLES
        ]
        engine.write(*heads, *rows)
        print(number, flush=True)


def main() -> None:
    job, folder, name, number = sys.argv[1:]
    {"count_up": count_up, "write_for_ever": write_for_ever}[job](Path(folder), name, int(number))


if __name__ == "__main__":
    main()
