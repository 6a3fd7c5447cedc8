"""The second tier: encoded values in Redis, filled by lease and compare-and-set, barred by tombstones.

It never raises. When a call fails the breaker opens: from then on nothing is asked of Redis, and what writers wanted to
tell it is kept, until the keeper (see `keeper.py`) has reached it and told it all of that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

from bluestar_store.cache import stored
from bluestar_store.cache.keys import Namespace
from bluestar_store.cache.link import Link, LinkError
from bluestar_store.cache.pending import Notice, Pending
from bluestar_store.cache.scripts import BLOCK, FILL, FORGET, RELEASE
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.stored import Abandoned, Busy, Fill, Held, Leased, Outdated, Stored
from bluestar_store.cache.topology import Topology
from bluestar_store.cache.wire import Command, packed
from bluestar_store.protocols import Unit

LEASE_MS = 10_000
"""How long a load may take and still be kept."""
PROBE: Unit = ("probe",)
"""What is written to see whether a server takes writes again."""
LOOKS_KEPT = 8192
"""Units whose commands need not be packed again."""
SCAN_KEYS = 500
"""Keys that one SCAN looks at."""


Looked: TypeAlias = tuple[Mapping[Unit, tuple[object, object]], bytes, float]
"""What the keys of some units held when we tried to put our lease there, and how long each still will, as Redis said
it; that lease; and when that was."""


class Remote:
    """Safe for threads."""

    def __init__(
        self, topology: Topology, namespace: Namespace, origin: str, counters: Counters, clock: Callable[[], float]
    ) -> None:
        self.topology, self.namespace, self.origin = topology, namespace, origin
        self._counters, self._clock = counters, clock
        self.reset()

    def reset(self) -> None:
        """Start anew, as a forked child has to."""
        self.topology.reset()
        self.pending = Pending()
        self._lock = threading.Lock()
        self.is_open = False
        self._trusted_since = float("-inf")
        self._leases = stored.leases()
        # The way of every hit. Packing it anew takes as long as sending it; one script takes the server longer.
        self._kept_look = lru_cache(LOOKS_KEPT)(self._look)

    def look(self, units: Sequence[Unit]) -> Looked | None:
        """What each key holds, with our lease where it held nothing; None when Redis is out.

        One round trip a server.
        """
        if self.is_open:
            return None
        lease = next(self._leases)
        try:
            if (single := self.topology.single) is not None:
                replies = iter(single.call_packed(partial(self._look_request, units, lease)))
                return dict(zip(units, zip(replies, replies, strict=True), strict=True)), lease, self._clock()
            found: dict[Unit, Any] = dict.fromkeys(units)  # in their order, whichever server answers first
            for link, numbers in self._by_link(units, range(len(units))):
                asked = [units[number] for number in numbers]
                replies = iter(link.call_packed(partial(self._look_request, asked, lease)))
                found |= zip(asked, zip(replies, replies, strict=True), strict=True)
        except LinkError as error:
            self.open(str(error))
            return None
        return found, lease, self._clock()

    def _look_request(self, units: Sequence[Unit], lease: bytes, run_id: bytes) -> tuple[bytes, int]:
        parts: list[bytes] = []
        for unit in units:
            before, after = self._kept_look(unit, run_id)
            parts += (before, lease, after)
        return b"".join(parts), 2 * len(units)

    def _look(self, unit: Unit, run_id: bytes) -> tuple[bytes, bytes]:
        """What stands before and after our lease in the two commands of a look."""
        key, lease = self.namespace.key(unit, run_id), stored.lease(b"-" * stored.TOKEN_BYTES)
        request = packed([("SET", key, lease, "NX", "GET", "PX", LEASE_MS), ("PTTL", key)])
        before, _, after = request.rpartition(lease)
        return before, after

    def state(self, content: object, left: object, lease: bytes, now: float) -> Stored:
        """What a key held when we tried to put our lease there, by its content and PTTL.

        A value that came in before the last outage ended is Outdated, whoever it is from: a writer may have been cut
        off too. A lease of that time is Abandoned: a server that hung carries out what its clients gave up long ago.
        """
        found = stored.read(content, left, lease)
        if isinstance(found, Held):
            return Outdated(found.token) if now - found.age_ms / 1000 < self._trusted_since else found
        if isinstance(found, Busy) and now - (LEASE_MS - found.remaining_ms) / 1000 < self._trusted_since:
            return Abandoned(found.token)
        return found

    def fill(self, fills: Mapping[Unit, Fill]) -> Mapping[Unit, bool]:
        """Put values where our claim still stands; for which units it did. Empty when Redis is out."""
        if self.is_open or not fills:
            return {}

        def command(number: int, key: bytes) -> Command:
            fill = wanted[number]
            content = b"" if fill.payload is None else stored.value(fill.token, fill.lifetime_ms, fill.payload)
            return "EVAL", FILL, 1, key, fill.claim, content, fill.lifetime_ms

        wanted = list(fills.values())
        replies = self._each(list(fills), command)
        return {} if replies is None else {unit: reply == 1 for unit, reply in zip(fills, replies, strict=True)}

    def take_over(self, unit: Unit, busy: Busy) -> Leased | None:
        """Our lease in place of one whose holder is not heard of; None when somebody else was faster."""
        lease = stored.new_token()
        replies = self._each([unit], lambda _, key: ("EVAL", FILL, 1, key, busy.claim, stored.lease(lease), LEASE_MS))
        return Leased(lease) if replies == [1] else None

    def block(self, units: Iterable[Unit], writer: bytes, seconds: float) -> None:
        """Before a write, and after one whose outcome is unknown: no value may be there or come in."""
        until = self._clock() + seconds
        self._tell([Notice(unit, writer, until) for unit in units])

    def release(self, units: Iterable[Unit], writer: bytes) -> None:
        """After a write: what is loaded from now on may come in."""
        self._tell([Notice(unit, writer, None) for unit in units])

    def _tell(self, notices: Sequence[Notice]) -> None:
        """Tell Redis, and every process by it; what cannot be told now is kept."""
        if self.is_open or not self._send(notices):
            self.pending.add(notices)
            self.open("a write could not be announced")  # it may have closed between these lines

    def _send(self, notices: Sequence[Notice]) -> bool:
        """Tell now; whether that was possible."""
        now = self._clock()

        def command(number: int, key: bytes) -> Command:
            notice = notices[number]
            if notice.until is not None and notice.until > now:
                return "EVAL", BLOCK, 1, key, notice.writer, max(int((notice.until - now) * 1000), 1)
            return "EVAL", RELEASE, 1, key, notice.writer

        units = [notice.unit for notice in notices]
        if self._each(units, command) is None:
            return False
        return self.publish(self.namespace.changed(self.origin, units))

    def publish(self, message: bytes) -> bool:
        """Send a message to every process; whether that was possible."""
        try:
            self.topology.any().call(lambda _: [("PUBLISH", self.namespace.channel, message)])
        except LinkError as error:
            self.open(str(error))
            return False
        self._counters.add("invalidations_out")
        return True

    def open(self, reason: str) -> None:
        """Take Redis out of the path until `recover` has reached it."""
        with self._lock:
            opens, self.is_open = not self.is_open, True
        if opens:
            self._counters.opened(reason)  # not under the lock: it calls listeners

    def recover(self) -> bool:
        """Try to reach Redis again and tell it what waited; whether it is back in the path."""
        try:
            self.topology.refresh()
            for link in self.topology.links():
                link.call(lambda _: [("PING",)])
            # A server that is full, or has become a replica, answers and is of no use.
            place = self.topology.link(self.namespace.slot_key(PROBE))
            place.call(lambda run_id: [("SET", self.namespace.key(PROBE, run_id), self.origin, "PX", 1000)])
        except LinkError:
            return False
        while True:
            waiting, overflowed = self.pending.take()
            if not self._tell_all(overflowed) or (waiting and not self._send(waiting)):
                self.pending.put_back(waiting, overflowed)
                return False
            with self._lock:
                if not self.pending:
                    self._trusted_since = self._clock()
                    self.is_open = False
                    return True

    def _tell_all(self, overflowed: bool) -> bool:
        """Forget everything, everywhere, if there was more to tell than could be kept; whether that was possible."""
        if not overflowed:
            return True
        try:
            self.forget(lambda unit: True)
        except LinkError:
            return False
        return self.publish(self.namespace.matching(self.origin, None, {}))

    def see(self, unit: Unit) -> Held | str:
        """What a key holds, for people; where it is no value, what it is, in words."""
        if self.is_open:
            return "Redis is out of the path"
        try:
            link = self.topology.link(self.namespace.slot_key(unit))
            content, left = link.call(
                lambda run_id: [(name, self.namespace.key(unit, run_id)) for name in ("GET", "PTTL")]
            )
        except LinkError as error:
            self.open(str(error))
            return "Redis does not answer"
        match self.state(content, left, b"", self._clock()):
            case Held() as held:
                return held
            case Busy():
                return "a process is loading it"
            case stored.Blocked():
                return "it is being written"
            case Outdated() | Abandoned():
                return "what Redis has is older than its last outage"
            case stored.Garbage():
                return "what Redis has cannot be read"
        return "nothing in Redis"

    def discard(self, unit: Unit) -> None:
        """Remove what should not be there; a tombstone stays."""
        self._each([unit], lambda _, key: ("EVAL", FORGET, 1, key))

    def forget(self, matches: Callable[[Unit], bool]) -> int:
        """Remove the values and leases of matching units; how many. Raises LinkError."""
        count = 0
        for link, found in self._scanned():
            keys = [key for unit, key in found if matches(unit)]
            if keys:
                count += sum(link.call(partial(_forgetting, keys)))
        return count

    def held_units(self) -> Iterator[Unit]:
        """The unit of every key that this run of the servers has for the environment. Raises LinkError."""
        for _, found in self._scanned():
            yield from (unit for unit, _ in found)

    def _scanned(self) -> Iterator[tuple[Link, list[tuple[Unit, bytes]]]]:
        for link in self.topology.links():
            cursor: object = 0
            while True:
                ((cursor, keys),) = link.call(partial(self._scan, cursor))
                units = ((self.namespace.unit(key), key) for key in keys)
                yield link, [(unit, key) for unit, key in units if unit is not None and unit != PROBE]
                if cursor in (0, b"0"):
                    break

    def _scan(self, cursor: object, run_id: bytes) -> list[Command]:
        return [("SCAN", cursor, "MATCH", self.namespace.pattern(run_id), "COUNT", SCAN_KEYS)]

    def _each(self, units: Sequence[Unit], command: Callable[[int, bytes], Command]) -> list[object] | None:
        """The reply to each unit's command; None, and the breaker open, when one of the servers fails."""
        replies: dict[int, object] = {}
        try:
            for link, numbers in self._by_link(units, range(len(units))):
                found = link.call(partial(self._commands, units, numbers, command))
                replies |= zip(numbers, found, strict=True)
        except LinkError as error:
            self.open(str(error))
            return None
        return [replies[number] for number in range(len(units))]

    def _commands(
        self, units: Sequence[Unit], numbers: Sequence[int], command: Callable[[int, bytes], Command], run_id: bytes
    ) -> list[Command]:
        return [command(number, self.namespace.key(units[number], run_id)) for number in numbers]

    def _by_link(self, units: Sequence[Unit], numbers: Sequence[int]) -> Iterable[tuple[Link, Sequence[int]]]:
        """The numbers of units by the server that has them."""
        if (single := self.topology.single) is not None:
            return ((single, numbers),)
        groups: dict[int, tuple[Link, list[int]]] = {}
        for number in numbers:
            link = self.topology.link(self.namespace.slot_key(units[number]))
            groups.setdefault(id(link), (link, []))[1].append(number)
        return groups.values()

    def close(self) -> None:
        """Close all connections."""
        self.topology.close()


def _forgetting(keys: Sequence[bytes], run_id: bytes) -> list[Command]:
    return [("EVAL", FORGET, 1, key) for key in keys]
