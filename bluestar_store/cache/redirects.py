"""Following a cluster: a slot that is being moved (ASK), or that has been (MOVED), is asked for where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redis.exceptions import AskError, MovedError

from bluestar_store.cache.link import LinkError, check
from bluestar_store.cache.topology import Topology
from bluestar_store.cache.wire import Command

MOST = 4
"""Nodes that one request is passed on by: more than that are no way to one."""


def is_redirect(reply: object) -> bool:
    """Whether another node has what was asked for."""
    return isinstance(reply, AskError)  # MovedError is one, too


def followed(
    topology: Topology, replies: Sequence[object], commands: Callable[[bytes], Sequence[Command]]
) -> Sequence[object]:
    """The replies to commands on one key, from the node that has it. Raises LinkError."""
    for _ in range(MOST):
        first = next((reply for reply in replies if isinstance(reply, AskError)), None)
        if first is None:
            check(replies)
            return replies
        link = topology.node(first.host, int(first.port))
        if isinstance(first, MovedError):
            topology.moved()
            replies = link.call(commands, errors=True)
        else:  # each command has to say that it was sent there
            replies = link.call(
                lambda run_id: [part for one in commands(run_id) for part in (("ASKING",), one)], errors=True
            )
            replies = replies[1::2]
    raise LinkError("the nodes of the cluster send each other's way")
