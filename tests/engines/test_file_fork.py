"""A forked process may go on in a folder that its parent has open: with locks of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from pathlib import Path
from bluestar_store import BatchState, Settings, Store
from bluestar_store.documents import get_store

folder = Path(sys.argv[1])
store = Store.open(Settings(persistence_mode="file", file_persistence_dir=folder / "store"))
store.create_tables()
documents = get_store("orders", "id", settings=Settings(persistence_mode="file", file_persistence_dir=folder / "docs"))
child = os.fork()
if child == 0:
    store.batches.put(BatchState(batch_id="b", plan_id="ACME"))
    documents.create({"id": "a"})
    documents.reset()
    documents.create({"id": "b"})
    os._exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert store.batches.get("b").plan_id == "ACME"
assert [one["id"] for one in documents.list()] == ["b"]
store.batches.put(BatchState(batch_id="c", plan_id="ACME"))
"""


def test_a_forked_child_writes_and_its_parent_sees_it(tmp_path: Path) -> None:
    """In a process of its own: this one has threads, with which a fork may wait for ever."""
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=60)
