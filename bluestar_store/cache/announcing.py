"""Telling Redis, and by it every process, of writes: a tombstone for each item and a message to all.

A message needs no room and no master, so it goes out where the tombstone is refused: whoever hears it asks Redis no
more for what was written, until it can be believed again. What can be told in neither way is kept, told as soon as
Redis is reached again, and counted and logged until then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from bluestar_store.cache.keys import Namespace
from bluestar_store.cache.link import Link, LinkError, check, is_refusal
from bluestar_store.cache.pending import Notice, Pending
from bluestar_store.cache.scripts import BLOCK, RELEASE, WITNESS
from bluestar_store.cache.servers import WITNESS_UNIT, CommandOf, Servers
from bluestar_store.cache.signing import Signer
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.topology import Topology
from bluestar_store.cache.wire import Command, Wire
from bluestar_store.protocols import CacheKey

_log = logging.getLogger(__name__)
T = TypeVar("T")

UNITS_A_MESSAGE = 250
"""More are told in several messages: who hears them takes none that is too large."""
WITNESS_SECONDS = 86_400
"""How long the witness outlives the last process."""


class Told(Enum):
    """How far a write was announced. HEARD: by message alone."""

    WHOLLY, HEARD, NOT = range(3)


class Announcer(Servers):
    """`older` are the names that release 0.1.0 uses, where they are others: what it keeps there is barred, too."""

    def __init__(
        self,
        topology: Topology,
        namespace: Namespace,
        origin: str,
        counters: Counters,
        clock: Callable[[], float],
        signer: Signer,
        older: Namespace | None = None,
    ) -> None:
        self.older = older
        super().__init__(topology, namespace, origin, counters, clock, signer)

    def reset(self) -> None:
        """See Servers."""
        super().reset()
        self.pending = Pending()
        self.trusted_since = float("-inf")
        """What came into Redis before is not to be believed."""
        self._kept_since: float | None = None
        self.heard_since: float | None = None
        """Since when messages of other processes have been heard without a gap; None while they are not."""
        self._warned = False

    # -------------------------------------------------------------------------------------------------------- writers

    def block(self, units: Iterable[CacheKey], writer: bytes, seconds: float) -> None:
        """Before a write, and after one whose outcome is unknown: no value may be there or come in."""
        until = self._clock() + seconds
        self._tell([Notice(unit, writer, until) for unit in units])

    def release(self, units: Iterable[CacheKey], writer: bytes) -> None:
        """After a write: what is loaded from now on may come in."""
        self._tell([Notice(unit, writer, None) for unit in units])

    def _tell(self, notices: Sequence[Notice]) -> None:
        """Tell Redis, and every process by it; what cannot be told now is kept."""
        if self.is_open:
            told = self._spoken(notices)
        else:
            told = self._send(notices)
        if told is Told.WHOLLY:
            return
        self.pending.add(notices)
        self.open("a write could not be announced")  # it may have closed between these lines
        self._counters.add("unwritten" if told is Told.HEARD else "unannounced")
        self._warn(told)

    def _warn(self, told: Told) -> None:
        """Once an outage."""
        if self._warned:
            return
        self._warned = True
        reason = self._counters.last_error
        if told is Told.HEARD:
            _log.warning("Redis keeps nothing (%s): other processes are told of writes by message alone", reason)
        else:
            _log.warning(
                "Redis cannot be told of a write (%s): other processes that still hear each other may give what was "
                "there before until it can be told, or until cache_ttl_seconds have passed",
                reason,
            )

    def _send(self, notices: Sequence[Notice]) -> Told:
        """Tell now, as far as that is possible."""
        units = [notice.unit for notice in notices]
        if (single := self.topology.single) is not None:
            try:
                return self._sent_at_once(single, notices)
            except LinkError as error:
                self.open(str(error))
                return Told.NOT
        written = True
        for space in self._spaces():
            commands = self._bars(notices)
            written &= self._each_in(space, units, commands)
        said = self._say(notices, unwritten=not written)
        return Told.NOT if not said else Told.WHOLLY if written else Told.HEARD

    def _sent_at_once(self, link: Link, notices: Sequence[Notice]) -> Told:
        """All of it in one round trip: the messages come after the tombstones, and whether or not those are refused."""
        command, spaces = self._bars(notices), self._spaces()
        messages = self._messages(notices, unwritten=False)

        def commands(run_id: bytes) -> list[Command]:
            bars = [
                command(number, partial(space.key, run_id=run_id)) for space in spaces for number in range(len(notices))
            ]
            return [*bars, *messages]

        replies = link.call(commands, errors=True)
        bars, said = replies[: -len(messages)], replies[-len(messages) :]
        check(said)
        self._counters.add("invalidations_out")
        if not any(map(is_refusal, bars)):
            return Told.WHOLLY
        try:
            check(bars)
        except LinkError as error:
            self.open(str(error))
        return Told.HEARD if self._say(notices, unwritten=True) else Told.NOT

    def _bars(self, notices: Sequence[Notice]) -> CommandOf:
        now = self._clock()

        def command(number: int, key: Callable[[CacheKey], bytes]) -> Command:
            notice = notices[number]
            if notice.until is not None and notice.until > now:
                return "EVAL", BLOCK, 1, key(notice.unit), notice.writer, max(int((notice.until - now) * 1000), 1)
            return "EVAL", RELEASE, 1, key(notice.unit), notice.writer

        return command

    def _spaces(self) -> tuple[Namespace, ...]:
        return (self.namespace,) if self.older is None else (self.namespace, self.older)

    def _each_in(self, space: Namespace, units: Sequence[CacheKey], command: CommandOf) -> bool:
        """Whether all servers took their commands; those that can be reached have them in any case."""
        try:
            self._asked(units, command, space)
        except LinkError as error:
            self.open(str(error))
            return False
        return True

    def _messages(self, notices: Sequence[Notice], *, unwritten: bool) -> list[Command]:
        """The PUBLISH commands that tell of them, in both namespaces."""
        now, messages = self._clock(), list[Command]()
        for (writer, until), group in groupby(notices, key=lambda notice: (notice.writer, notice.until)):
            seconds = None if until is None or until <= now else until - now
            for units in _portions([notice.unit for notice in group]):
                for space in self._spaces():
                    message = space.changed(
                        self.origin, units, writer, seconds, unwritten=unwritten, told_twice=space is self.older
                    )
                    messages.append(self._sealed(space, message))
        return messages

    def _sealed(self, space: Namespace, message: bytes) -> Command:
        return "PUBLISH", space.channel, self.signer.sealed(space.channel, message)

    def _spoken(self, notices: Sequence[Notice]) -> Told:
        """By message alone, while Redis is out of the path; not tried again where it failed, until it is reached."""
        if not self.speaks:
            return Told.NOT
        if self._say(notices, unwritten=True):
            return Told.HEARD
        self.speaks = False
        return Told.NOT

    def _say(self, notices: Sequence[Notice], *, unwritten: bool) -> bool:
        return self._published(self._messages(notices, unwritten=unwritten))

    def publish(self, message: Callable[[Namespace], bytes]) -> bool:
        """Send a message to every process; whether that was possible."""
        return self._published([self._sealed(space, message(space)) for space in self._spaces()])

    def announce_matching(self, kind: str | None, fields: Mapping[str, Any]) -> bool:
        """Tell every process that everything changed that the fields match; whether that was possible."""
        return self.publish(lambda space: space.matching(self.origin, kind, fields, told_twice=space is self.older))

    def announce_changed(self, units: Iterable[CacheKey]) -> bool:
        """Tell every process that units were changed by nobody knows whom; whether that was possible."""
        return all(
            self.publish(lambda space, told=told: space.changed(self.origin, told, told_twice=space is self.older))  # type: ignore[misc]
            for told in _portions(list(units))
        )

    def _published(self, messages: Sequence[Command]) -> bool:
        try:
            self._publish(messages)
        except LinkError as error:
            self.open(str(error))
            return False
        self._counters.add("invalidations_out")
        return True

    def _publish(self, messages: Sequence[Command]) -> None:
        self._by_any(lambda link: link.call(lambda _: messages))

    def _by_any(self, done: Callable[[Link], T]) -> T:
        """By whichever server can: in a cluster each passes messages on to all. Raises LinkError."""
        failed: LinkError | None = None
        for link in self.topology.links():
            try:
                return done(link)
            except LinkError as error:
                failed = error
        raise failed or LinkError("the cluster has no master")

    # --------------------------------------------------------------------------------------------------------- keeper

    def recover(self) -> bool:
        """Try to reach Redis again and tell it what waited; whether it is back in the path."""
        try:
            self.topology.refresh()
            self.witness()
        except LinkError:
            # A server that is full, or has become a replica, keeps nothing. Maybe it delivers.
            waiting = self.pending.seen()
            if not self.speaks and (not waiting or self._say(waiting, unwritten=True)):
                self.speaks = True
            return False
        while True:
            waiting, overflowed = self.pending.take()
            if not self._tell_all(overflowed) or (waiting and self._send(waiting) is not Told.WHOLLY):
                self.pending.put_back(waiting, overflowed)
                return False
            with self._lock:
                if not self.pending:
                    self.trusted_since = self._clock()
                    self.is_open = self._warned = False
                    return True

    def _tell_all(self, overflowed: bool) -> bool:
        """Forget everything, everywhere, if there was more to tell than could be kept; whether that was possible."""
        if not overflowed:
            return True
        try:
            self.forget(lambda unit: True)
        except LinkError:
            return False
        return self.announce_matching(None, {})

    def witness(self) -> None:
        """See that every server takes writes, and since when it has kept what it was told. Raises LinkError."""
        kept_ms = list[int]()
        for link in self.topology.links():
            (reply,) = link.call(partial(self._witnessing, link))
            kept_ms.append(int(reply))
        self._kept_since = self._clock() - min(kept_ms, default=0) / 1000

    def _witnessing(self, link: Link, run_id: bytes) -> list[Command]:
        key = self.namespace.key(self._witness_unit(link), run_id)
        return [("EVAL", WITNESS, 1, key, WITNESS_SECONDS * 1000)]

    def _witness_unit(self, link: Link) -> CacheKey:
        """A key of this very server."""
        if self.topology.single is not None:
            return WITNESS_UNIT
        for number in range(1000):
            unit = (*WITNESS_UNIT, number)
            if self.topology.link(self.namespace.slot_key(unit)) is link:
                return unit
        raise LinkError("a master has no slots")

    def kept_seconds(self) -> float:
        """For how long the servers have surely kept what they were told; 0 when nobody knows."""
        return 0.0 if self._kept_since is None else self._clock() - self._kept_since

    def heard_seconds(self) -> float:
        """For how long this process has surely heard all that was said; 0 while it does not."""
        return 0.0 if self.heard_since is None else self._clock() - self.heard_since

    def connect(self) -> Wire:
        """A connection to listen at. Raises LinkError."""
        return self._by_any(Link.connect)

    def say(self, nonce: str) -> None:
        """Say something on our own channel, by the way that writers take. Raises LinkError."""
        channel = self.namespace.own_channel(self.origin)
        self._publish([("PUBLISH", channel, self.signer.sealed(channel, self.namespace.probe(self.origin, nonce)))])

    def see_whether_it_keeps(self) -> None:
        """Open the breaker where a server refuses to keep what it is told; one that does not answer is not heard."""
        try:
            self.witness()
        except LinkError as error:
            if error.is_refusal:
                self.open(str(error))


def _portions(units: Sequence[CacheKey]) -> Iterator[Sequence[CacheKey]]:
    """The units in lists that one message can take."""
    return (units[first : first + UNITS_A_MESSAGE] for first in range(0, len(units), UNITS_A_MESSAGE))
