"""A forked process has its own connection: two processes on one socket would take each other's answers."""

from __future__ import annotations

import subprocess
import sys

CONNECTION = """
import os, signal, threading
from bluestar_store.engines.dynamo.connection import AwsConnection

connection = AwsConnection(
    region="us-east-1",
    endpoint_url="http://127.0.0.1:1",
    connect_timeout_seconds=1,
    read_timeout_seconds=1,
    max_attempts=1,
    pool_connections=1,
)
"""

SCRIPT = """
parent = connection.connection
child = os.fork()
if child == 0:
    os._exit(0 if connection.connection is not parent else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert connection.connection is parent
"""


WHILE_ANOTHER_THREAD_MAKES_ONE = """
ordinary, making, forked = connection._connected, threading.Event(), threading.Event()

def slow():
    making.set()
    forked.wait(30)
    return ordinary()

connection._connected = slow
thread = threading.Thread(target=lambda: connection.connection)
thread.start()
making.wait(30)
child = os.fork()
if child == 0:
    signal.alarm(8)  # ends it when it waits
    connection._connected = ordinary
    os._exit(0 if connection.connection else 1)
forked.set()
_, status = os.waitpid(child, 0)
thread.join()
assert os.waitstatus_to_exitcode(status) == 0
"""


def test_a_forked_child_makes_its_own_client() -> None:
    """In a process of its own: this one has threads, with which a fork may wait for ever."""
    subprocess.run([sys.executable, "-c", CONNECTION + SCRIPT], check=True, timeout=60)


def test_a_child_that_is_forked_while_another_thread_makes_the_client_does_not_wait_for_that_one() -> None:
    subprocess.run([sys.executable, "-c", CONNECTION + WHILE_ANOTHER_THREAD_MAKES_ONE], check=True, timeout=20)
