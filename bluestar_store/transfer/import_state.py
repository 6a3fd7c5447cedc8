"""How far an import came: a small file beside the export, one for each target."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bluestar_store.disk import read_plain
from bluestar_store.engines.checks import check_key
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.engines.file.whole_files import write_whole
from bluestar_store.errors import InvalidKeyError
from bluestar_store.keys import Key
from bluestar_store.transfer.routes import Place, Routes
from bluestar_store.transfer.transfer_files import Manifest

MAX_STATE_BYTES = 1024 * 1024


class State:
    """How far an import came: how many items of each table are in the target, and the key of the last one."""

    def __init__(self, folder: Path, target: Place, manifest: Manifest) -> None:
        place = [target.engine.location, *(spec.name for spec in target.tables.specs())]
        name = hashlib.sha256(json.dumps(place).encode()).hexdigest()[:16]
        self._path = folder / f".import-{name}.json"
        self._manifest = manifest
        self.done: dict[str, tuple[int, Key]] = {}

    def count(self, table: str) -> int:
        """How many items of the table are done."""
        return self.done[table][0] if table in self.done else 0

    def load(self) -> bool:
        """Whether an interrupted run of this very export left its notes; `done` is what they say.

        What lies there and is none of ours counts as nothing, and is replaced.
        """
        try:
            content = exact_json(read_plain(self._path, MAX_STATE_BYTES))
            done = {table: (count, Key(pk, sk)) for table, (count, pk, sk) in content["done"].items()}
            is_ours = content["export"] == self._manifest.digest and done.keys() <= self._manifest.tables.keys()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        if not is_ours or not all(type(count) is int and count >= 0 and _is_key(key) for count, key in done.values()):
            return False
        self.done = done
        return True

    def is_true_of(self, target: Place, routes: Routes) -> bool:
        """Whether the target has what the notes say: it may have been made anew since."""
        return all(target.engine.get(routes.on_disk(t), [key], consistent=True) for t, (_, key) in self.done.items())

    def save(self) -> None:
        """Note it, durably."""
        done = {table: [count, *key] for table, (count, key) in self.done.items()}
        write_whole(self._path, json.dumps({"export": self._manifest.digest, "done": done}).encode())

    def remove(self) -> None:
        """The import is complete."""
        self._path.unlink(missing_ok=True)


def _is_key(key: Key) -> bool:
    try:
        check_key("", key)
    except InvalidKeyError:
        return False
    return True
