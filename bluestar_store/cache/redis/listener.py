"""The background thread: it receives other processes' invalidations, and restores Redis after an outage.

Several times a second it publishes a heartbeat to itself, as writers publish. While heartbeats come back, the process
receives every invalidation and may answer from memory. While they do not, the first tier is emptied, and new values
live for a short time. The channel is a connection of its own, not redis-py's PubSub, which reconnects silently and
loses the messages in between.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.redis.connection import RedisCallError, RespConnection
from bluestar_store.cache.redis.messages import Message, read_message
from bluestar_store.cache.redis.publisher import InvalidationPublisher
from bluestar_store.cache.redis.tier import RedisTier
from bluestar_store.threads import began

SUBSCRIBED_SECONDS = 1.0
"""How long a new channel may take to deliver its first heartbeat."""
RECOVERY_SECONDS = 0.5
"""Between two tries to reach a Redis that is out of the path."""


class Received(NamedTuple):
    """A message, whether it came under the names of release 0.1.0, and whether one of our keys has signed it.

    Without keys all count as signed.
    """

    message: Message
    legacy: bool
    signed: bool


class Heartbeat(NamedTuple):
    """When a heartbeat was sent: on the cache's clock, and on one that stops while the process is suspended."""

    sent: float
    ran: float


class InvalidationListener:
    """One thread, started by `start` and ended by `close`."""

    def __init__(
        self,
        attach: Callable[[], RedisTier],
        limits: CacheLimits,
        *,
        on_message: Callable[[Received], None],
        on_channel: Callable[[bool], None],
        on_heartbeat: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        """`attach` returns the tier, and raises until it is found.

        `on_message` is called for each message of another process, `on_channel` when the channel comes or goes, and
        `on_heartbeat` with the time when a heartbeat that came back was sent: messages before it have come as well.
        """
        self._attach, self._limits, self._clock = attach, limits, clock
        self._on_message, self._on_channel, self._on_heartbeat = on_message, on_channel, on_heartbeat
        self._closing = threading.Event()
        self._settled = threading.Event()
        self._attached = False
        self._thread = threading.Thread(target=self._run, name="bluestar-cache", daemon=True)
        self._connection: RespConnection | None = None
        self._unanswered: dict[str, Heartbeat] = {}

    def start(self) -> bool:
        """Start the thread; returns whether one could be had."""
        return began(self._thread)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until the channel has been tried once; returns whether it has."""
        return self._settled.wait(timeout_seconds)

    def close(self) -> None:
        """End the thread, and wait for it."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.close()  # wakes the thread
        # While it still looks for the tier it may wait for DynamoDB: it ends when that answers.
        if self._attached and self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            try:
                remote = self._attach()
                self._attached = True
                if self._closing.is_set():
                    return
                self._recover(remote)
                self._hold_channel(remote)
                pause = 0.0
            except Exception:  # any: without this thread no invalidation would ever be received again
                # Fast at first, then twice a second: all processes of a fleet look for the same server.
                pause = min(max(2 * pause, 0.02), RECOVERY_SECONDS) * random.uniform(0.7, 1.0)  # noqa: S311  # no secret
            finally:
                self._settled.set()

    def _recover(self, remote: RedisTier) -> None:
        if remote.client.is_open and not self._closing.is_set():
            remote.publisher.recover()

    def _hold_channel(self, remote: RedisTier) -> None:
        """One connection to the channel, from subscribing to its loss. Raises RedisCallError."""
        connection = self._connection = remote.publisher.connect()
        try:
            sent = self._subscribe(remote, connection)
            self._on_channel(True)
            self._on_heartbeat(sent)
            try:
                self._settled.set()
                remote.publisher.check_writable()  # after `_settled`: no read waits for that
                self._listen(remote, connection)
            finally:
                self._on_channel(False)
        finally:
            self._connection = None
            connection.close()

    def _subscribe(self, remote: RedisTier, connection: RespConnection) -> float:
        """Subscribe, and receive a first heartbeat; returns when that was sent. Raises RedisCallError."""
        publisher = remote.publisher
        own = remote.client.namespace.own_channel(publisher.origin)
        channels = [own, *(names.channel for names in publisher.namespaces)]
        connection.send(("SUBSCRIBE", *channels))
        connection.receive()  # the reply for the first channel; `_receive` ignores those for the others
        self._unanswered.clear()
        sent = self._send_heartbeat(remote)
        deadline = time.monotonic() + SUBSCRIBED_SECONDS
        while self._unanswered:
            if not connection.is_ready(deadline - time.monotonic()):
                raise RedisCallError("the channel does not hear its own message")
            self._receive(remote, connection)
        return sent

    def _send_heartbeat(self, remote: RedisTier) -> float:
        """Publish a heartbeat; returns when. Raises RedisCallError."""
        nonce = uuid.uuid4().hex
        heartbeat = self._unanswered[nonce] = Heartbeat(self._clock(), time.monotonic())
        remote.publisher.send_heartbeat(nonce)
        return heartbeat.sent

    def _listen(self, remote: RedisTier, connection: RespConnection) -> None:
        """Pass messages on, until the channel is lost or heartbeats do not come back."""
        interval, last = self._limits.beat_seconds, time.monotonic()
        while not self._closing.is_set():
            self._recover(remote)
            left = last + interval - time.monotonic()
            if left <= 0:
                last = time.monotonic()
                remote.discard_distrusted()
                with suppress(RedisCallError):  # noticed below, as the heartbeat does not come back
                    self._send_heartbeat(remote)
                remote.publisher.check_writable()
            elif connection.is_ready(min(left, RECOVERY_SECONDS)):
                self._receive(remote, connection)
                continue
            # Only now: after the process was suspended, messages that came meanwhile are read first.
            if self._is_silent() and not connection.is_ready(0):
                raise RedisCallError("the channel is silent")

    def _is_silent(self) -> bool:
        oldest = next(iter(self._unanswered.values()), None)
        return oldest is not None and time.monotonic() - oldest.ran > self._limits.trust_seconds

    def _receive(self, remote: RedisTier, connection: RespConnection) -> None:
        received = _message(connection.receive(), remote.publisher)
        if received is None:
            return
        message = received.message
        if message.probe is not None and received.signed:
            heartbeat = self._unanswered.get(message.probe)
            if heartbeat is not None:
                self._unanswered = {nonce: one for nonce, one in self._unanswered.items() if one.ran > heartbeat.ran}
                self._on_heartbeat(heartbeat.sent)
        elif message.origin != remote.publisher.origin:
            self._on_message(received)


def _message(reply: object, publisher: InvalidationPublisher) -> Received | None:
    """The message in a reply; None for anything else."""
    match reply:
        case [b"message", bytes(channel), bytes(data)]:
            content, signed = publisher.signer.opened_message(channel, data)
            message = read_message(content)
            legacy = publisher.legacy is not None and channel == publisher.legacy.channel
            return None if message is None else Received(message, legacy, signed)
    return None
