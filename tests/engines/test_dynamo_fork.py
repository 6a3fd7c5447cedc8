"""A forked process has its own connection: two processes on one socket would take each other's answers."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os
from bluestar_store.engines.aws import AwsConnection

connection = AwsConnection(
    region="us-east-1",
    endpoint_url="http://127.0.0.1:1",
    connect_timeout_seconds=1,
    read_timeout_seconds=1,
    max_attempts=1,
    pool_connections=1,
)
parent = connection.connection
child = os.fork()
if child == 0:
    os._exit(0 if connection.connection is not parent else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert connection.connection is parent
"""


def test_a_forked_child_makes_its_own_client() -> None:
    """In a process of its own: this one has threads, with which a fork may wait for ever."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
