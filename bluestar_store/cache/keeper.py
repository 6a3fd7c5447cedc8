"""The background thread: it listens for what other processes change, and brings Redis back after an outage.

While the channel is lost, changes of others are not heard: the first tier is emptied, and what comes in lives shortly.
The channel is a bare connection, not redis-py's PubSub: that one reconnects in silence and loses what was sent
meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from bluestar_store.cache.keys import Message, read_message
from bluestar_store.cache.link import LinkError
from bluestar_store.cache.remote import Remote
from bluestar_store.cache.wire import Connection
from bluestar_store.threads import began

SUBSCRIBED_SECONDS = 1.0
"""How long the channel may take to hear its own test message."""
RECOVERY_SECONDS = 0.5
"""Between two tries to reach a Redis that is out of the path."""


class Keeper:
    """One thread, started by `start` and ended by `close`."""

    def __init__(
        self,
        remote: Remote,
        *,
        hear: Callable[[Message], None],
        tell: Callable[[bool], None],
        heartbeat_seconds: float,
    ) -> None:
        """`hear` is told of messages of others, `tell` whether the channel is there."""
        self._remote, self._hear, self._tell = remote, hear, tell
        self._heartbeat_seconds = heartbeat_seconds
        self._closing = threading.Event()
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bluestar-cache", daemon=True)
        self._connection: Connection | None = None

    def start(self) -> bool:
        """Begin to listen; whether a thread could be had for it."""
        return began(self._thread)

    def wait(self, timeout_seconds: float) -> bool:
        """Until the channel has been tried once; whether it has."""
        return self._settled.wait(timeout_seconds)

    def close(self) -> None:
        """End the thread, and wait for that."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.disconnect()  # wakes it
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            try:
                self._recover()
                self._session()
                pause = 0.0
            except Exception:  # whatever it is: without this thread nothing of others would ever be heard again
                # Fast at first, then twice a second: all processes of a fleet look for the same server.
                pause = min(max(2 * pause, 0.02), RECOVERY_SECONDS) * random.uniform(0.7, 1.0)  # noqa: S311  # no secret
            finally:
                self._settled.set()

    def _recover(self) -> None:
        if self._remote.is_open and not self._closing.is_set():
            self._remote.recover()

    def _session(self) -> None:
        """One connection to the channel, from subscribing to its loss. Raises LinkError."""
        connection = self._connection = self._remote.topology.any().connect()
        try:
            self._subscribe(connection)
            self._tell(True)
            try:
                self._settled.set()
                self._listen(connection)
            finally:
                self._tell(False)
        finally:
            self._connection = None
            connection.disconnect()

    def _subscribe(self, connection: Connection) -> None:
        """Subscribe, and hear a message of our own: a subscription that hears nothing says nothing either."""
        nonce = uuid.uuid4().hex
        channel = self._remote.namespace.channel
        connection.send_packed_command(connection.pack_commands([("SUBSCRIBE", channel)]), check_health=False)
        connection.read_response()
        probe = self._remote.namespace.probe(self._remote.origin, nonce)
        self._remote.topology.any().call(lambda _: [("PUBLISH", channel, probe)])
        while connection.can_read(SUBSCRIBED_SECONDS):
            message = _message(connection.read_response())
            if message is not None and message.probe == nonce:
                return
        raise LinkError("the channel does not hear its own message")

    def _listen(self, connection: Connection) -> None:
        """Pass messages on until the channel is lost; a peer that is silent for two heartbeats is gone."""
        asked, heard = False, time.monotonic()
        while not self._closing.is_set():
            self._recover()
            if connection.can_read(min(self._heartbeat_seconds, RECOVERY_SECONDS)):
                message = _message(connection.read_response())
                asked, heard = False, time.monotonic()
                if message is not None and message.probe is None and message.origin != self._remote.origin:
                    self._hear(message)
            elif time.monotonic() - heard < self._heartbeat_seconds:
                continue
            elif asked:
                raise LinkError("the channel is silent")
            else:
                connection.send_packed_command(connection.pack_commands([("PING",)]), check_health=False)
                asked, heard = True, time.monotonic()


def _message(reply: Any) -> Message | None:
    """The message in a reply; None for an answer to a PING."""
    if isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message" and isinstance(reply[2], bytes):
        return read_message(reply[2])
    return None
