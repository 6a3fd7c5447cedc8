"""A disk that fails: what could not be made durable nobody has seen, and what was acknowledged is there.

Two Stores over one folder, as two processes would have them, by 3 threads each; with --soak ten times as much.
"""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bluestar_store import Settings, Store
from tests.histories.agents import WORKS, work_in_threads
from tests.histories.linear import misfits, told, versioned_item
from tests.histories.record import Noted, by_subject, counts

SLOW_SECONDS = 0.005


def failing(sync: Callable[[int], None], chance: random.Random) -> Callable[[int], None]:
    """A slow sync that fails now and then."""

    def call(descriptor: int) -> None:
        time.sleep(SLOW_SECONDS)
        if chance.random() < 0.4:
            raise OSError(errno.EIO, "the disk failed")
        sync(descriptor)

    return call


def test_nobody_sees_what_the_disk_did_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, times: int
) -> None:
    settings, noted = Settings(persistence_mode="file", file_persistence_dir=tmp_path / "store"), Noted()
    with Store.open(settings) as one, Store.open(settings) as other:
        one.create_tables()
        monkeypatch.setattr(os, "fdatasync", failing(os.fdatasync, random.Random(seed)))

        def work(number: int) -> None:
            names = [f"process {number}/{thread}" for thread in range(3)]
            store = (one, other)[number]
            work_in_threads(store, names, noted, WORKS["rules that are put alone"], seed=seed, turns=80 * times)

        with ThreadPoolExecutor(2) as executor:
            list(executor.map(work, range(2)))
        monkeypatch.undo()
    print(counts(noted))
    assert {"put ok", "put failed"} <= counts(noted).keys()
    for subject, history in by_subject(noted).items():
        wrong = misfits(history, versioned_item)
        assert not wrong, f"{subject}: {told(wrong, history)}"
