"""The background thread: it listens for what other processes change, and brings Redis back after an outage.

Several times a second it says something to itself by the way that writers take, and hears it on the channel: as long as
that is so, the process hears of every write, and may answer from memory. While the channel is lost, changes of others
are not heard: the first tier is emptied, and what comes in lives shortly. The channel is a bare connection, not
redis-py's PubSub: that one reconnects in silence and loses what was sent meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from bluestar_store.cache.keys import Message, read_message
from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.link import LinkError
from bluestar_store.cache.remote import Remote
from bluestar_store.cache.wire import Wire
from bluestar_store.threads import began

SUBSCRIBED_SECONDS = 1.0
"""How long the channel may take to hear its own first message."""
RECOVERY_SECONDS = 0.5
"""Between two tries to reach a Redis that is out of the path."""


class Heard(NamedTuple):
    """A message, whether it came under the names that release 0.1.0 uses, and whether one of our keys has signed it.

    Without keys all count as signed.
    """

    message: Message
    older: bool
    signed: bool


class Beat(NamedTuple):
    """When a heartbeat was sent: on the cache's clock, and on one that counts only while the process could run."""

    sent: float
    ran: float


class Keeper:
    """One thread, started by `start` and ended by `close`."""

    def __init__(
        self,
        attach: Callable[[], Remote],
        limits: CacheLimits,
        *,
        hear: Callable[[Heard], None],
        tell: Callable[[bool], None],
        trust: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        """`attach` gives the tier once it is known which one it is, and raises until then.

        `hear` is told of messages of others, `tell` whether the channel is there, and `trust` of the time of each
        heartbeat that was heard: of all that was said before, too.
        """
        self._attach, self._limits, self._clock = attach, limits, clock
        self._hear, self._tell, self._trust = hear, tell, trust
        self._closing = threading.Event()
        self._settled = threading.Event()
        self._attached = False
        self._thread = threading.Thread(target=self._run, name="bluestar-cache", daemon=True)
        self._wire: Wire | None = None
        self._unheard: dict[str, Beat] = {}

    def start(self) -> bool:
        """Begin to listen; whether a thread could be had for it."""
        return began(self._thread)

    def wait(self, timeout_seconds: float) -> bool:
        """Until the channel has been tried once; whether it has."""
        return self._settled.wait(timeout_seconds)

    def close(self) -> None:
        """End the thread, and wait for that."""
        self._closing.set()
        wire = self._wire
        if wire is not None:
            wire.close()  # wakes it
        # One that still asks which tier it is may wait for DynamoDB: it ends when it is answered.
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
                self._session(remote)
                pause = 0.0
            except Exception:  # whatever it is: without this thread nothing of others would ever be heard again
                # Fast at first, then twice a second: all processes of a fleet look for the same server.
                pause = min(max(2 * pause, 0.02), RECOVERY_SECONDS) * random.uniform(0.7, 1.0)  # noqa: S311  # no secret
            finally:
                self._settled.set()

    def _recover(self, remote: Remote) -> None:
        if remote.is_open and not self._closing.is_set():
            remote.recover()

    def _session(self, remote: Remote) -> None:
        """One connection to the channel, from subscribing to its loss. Raises LinkError."""
        wire = self._wire = remote.connect()
        try:
            sent = self._subscribe(remote, wire)
            self._tell(True)
            self._trust(sent)
            try:
                self._settled.set()
                remote.see_whether_it_keeps()  # nobody need wait for that
                self._listen(remote, wire)
            finally:
                self._tell(False)
        finally:
            self._wire = None
            wire.close()

    def _subscribe(self, remote: Remote, wire: Wire) -> float:
        """Subscribe, and hear a heartbeat of our own, sent at this time: a channel that is deaf says nothing either."""
        spaces = [remote.namespace] if remote.older is None else [remote.namespace, remote.older]
        channels = [remote.namespace.own_channel(remote.origin), *(space.channel for space in spaces)]
        wire.send(("SUBSCRIBE", *channels))
        wire.receive()  # of the first; it is one command, and the others are passed over later
        self._unheard.clear()
        sent = self._say(remote)
        deadline = time.monotonic() + SUBSCRIBED_SECONDS
        while self._unheard:
            if not wire.is_ready(deadline - time.monotonic()):
                raise LinkError("the channel does not hear its own message")
            self._receive(remote, wire)
        return sent

    def _say(self, remote: Remote) -> float:
        """Send a heartbeat; when. Raises LinkError."""
        nonce = uuid.uuid4().hex
        beat = self._unheard[nonce] = Beat(self._clock(), time.monotonic())
        remote.say(nonce)
        return beat.sent

    def _listen(self, remote: Remote, wire: Wire) -> None:
        """Pass messages on until the channel is lost: one that does not hear its own heartbeats is."""
        beat, last = self._limits.beat_seconds, time.monotonic()
        while not self._closing.is_set():
            self._recover(remote)
            left = last + beat - time.monotonic()
            if left <= 0:
                last = time.monotonic()
                remote.clean()
                with suppress(LinkError):  # what cannot be said is not heard either
                    self._say(remote)
                remote.see_whether_it_keeps()
            elif wire.is_ready(min(left, RECOVERY_SECONDS)):
                self._receive(remote, wire)
                continue
            # Only now: after a stop, what was heard meanwhile is read first.
            if self._silent() and not wire.is_ready(0):
                raise LinkError("the channel is silent")

    def _silent(self) -> bool:
        oldest = next(iter(self._unheard.values()), None)
        return oldest is not None and time.monotonic() - oldest.ran > self._limits.trust_seconds

    def _receive(self, remote: Remote, wire: Wire) -> None:
        heard = _message(wire.receive(), remote)
        if heard is None:
            return
        message = heard.message
        if message.probe is not None and heard.signed:
            beat = self._unheard.get(message.probe)
            if beat is not None:
                self._unheard = {nonce: other for nonce, other in self._unheard.items() if other.ran > beat.ran}
                self._trust(beat.sent)
        elif message.origin != remote.origin:
            self._hear(heard)


def _message(reply: Any, remote: Remote) -> Heard | None:
    """The message in a reply; None for anything else."""
    if (
        isinstance(reply, list)
        and len(reply) == 3
        and reply[0] == b"message"
        and isinstance(reply[1], bytes)
        and isinstance(reply[2], bytes)
    ):
        content, signed = remote.signer.opened(reply[1], reply[2])
        message = read_message(content)
        older = remote.older is not None and reply[1] == remote.older.channel
        return None if message is None else Heard(message, older, signed)
    return None
