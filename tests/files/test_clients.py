"""One client of an SDK in each process."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bluestar_store.files.clients import ProcessClient


class Client:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_threads_share_one_and_a_forked_child_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ProcessClient(Client)
    with ThreadPoolExecutor(8) as pool:
        (made,) = {*pool.map(lambda _: client(), range(50))}
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as it were in a child
    assert client() is not made
    assert made.closed == 0  # it is the parent's


FORKED_WHILE_ANOTHER_THREAD_MAKES_ONE = """
import os, signal, threading
from bluestar_store.files.clients import ProcessClient

making, forked = threading.Event(), threading.Event()

def make():
    if threading.current_thread() is not threading.main_thread():
        making.set()
        forked.wait(30)
    return object()

client = ProcessClient(make)
thread = threading.Thread(target=client)
thread.start()
making.wait(30)
child = os.fork()
if child == 0:
    signal.alarm(8)  # ends it when it waits
    client()
    os._exit(0)
forked.set()
_, status = os.waitpid(child, 0)
thread.join()
assert os.waitstatus_to_exitcode(status) == 0
"""


def test_a_forked_child_does_not_wait_for_a_thread_that_it_has_not() -> None:
    subprocess.run([sys.executable, "-c", FORKED_WHILE_ANOTHER_THREAD_MAKES_ONE], check=True, timeout=10)


def test_a_closed_one_is_made_anew_and_a_parents_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ProcessClient(Client)
    first = client()
    client.close()
    client.close()
    second = client()
    assert (first.closed, second is first) == (1, False)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    client.close()
    assert second.closed == 0
