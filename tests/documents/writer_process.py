"""A process that writes documents, for the tests of mode file: python -m tests.documents.writer_process.

Every line on stdout is one acknowledged write. A job is named by the first argument.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from botocore.exceptions import ClientError

from bluestar_store.documents import get_store

TABLE, KEY = "customer-orders", "orderId"


def share(name: str, rounds: int) -> None:
    """Create items that others try to create too, items of its own, and set its own field of one that all share."""
    store = get_store(TABLE, KEY)
    won = 0
    for number in range(rounds):
        with suppress(ClientError):
            store.create({KEY: f"contended-{number:04d}", "by": name})
            won += 1
        store.create({KEY: f"{name}-{number:04d}"})
        store.update_fields("shared", {name: number})
    print(won, flush=True)


def write_for_ever(name: str, number: int) -> None:
    """A new item and a change of another, in turn, each announced once it is acknowledged."""
    store = get_store(TABLE, KEY)
    if store.get(f"{name}-head") is None:
        store.create({KEY: f"{name}-head", "number": 0})
    print("ready", flush=True)
    while True:
        number += 1
        store.create({KEY: f"{name}-{number:06d}", "text": f"é{number}" * 40})
        print(f"created {number}", flush=True)
        store.update_fields(f"{name}-head", {"number": number})
        print(f"changed {number}", flush=True)


def main() -> None:
    job, name, number = sys.argv[1:]
    {"share": share, "write_for_ever": write_for_ever}[job](name, int(number))


if __name__ == "__main__":
    main()
