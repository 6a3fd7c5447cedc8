"""Asking the servers, and not asking them: the breaker.

When a call fails the breaker opens: from then on nothing is read from Redis until the keeper (see `keeper.py`) has
reached it again. Nothing here raises but where it says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from bluestar_store.cache.keys import Namespace
from bluestar_store.cache.link import Link, LinkError, check
from bluestar_store.cache.redirects import followed, is_redirect
from bluestar_store.cache.scripts import FORGET
from bluestar_store.cache.signing import Signer
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.topology import Topology
from bluestar_store.cache.wire import Command
from bluestar_store.protocols import CacheKey

WITNESS_UNIT: CacheKey = ("witness",)
"""The key that shows whether a server takes writes, and since when it has kept them."""
SCAN_KEYS = 500
"""Keys that one SCAN looks at."""
CommandOf: TypeAlias = Callable[[int, Callable[[CacheKey], bytes]], Command]
"""The command for a unit, by its number; given what tells a unit's key."""


class Servers:
    """Those of one topology, with the keys of one namespace. Safe for threads."""

    def __init__(
        self,
        topology: Topology,
        namespace: Namespace,
        origin: str,
        counters: Counters,
        clock: Callable[[], float],
        signer: Signer,
    ) -> None:
        self.topology, self.namespace, self.origin, self.signer = topology, namespace, origin, signer
        self._counters, self._clock = counters, clock
        self.reset()

    def reset(self) -> None:
        """Start anew, as a forked child has to."""
        self.topology.reset()
        self._lock = threading.Lock()
        self.is_open = False
        self.speaks = True
        """While the breaker is open: whether messages may be tried all the same."""

    def open(self, reason: str) -> None:
        """Take Redis out of the path until `recover` has reached it."""
        with self._lock:
            opens, self.is_open = not self.is_open, True
            if opens:
                self.speaks = True
        if opens:
            self._counters.opened(reason)  # not under the lock: it calls listeners

    def discard(self, units: Sequence[CacheKey]) -> bool:
        """Remove what should not be there, while tombstones stay; whether that was possible."""
        return self._each(units, lambda number, key: ("EVAL", FORGET, 1, key(units[number]))) is not None

    def forget(self, matches: Callable[[CacheKey], bool]) -> int:
        """Remove the values and leases of matching units; how many. Raises LinkError."""
        count = 0
        for link, found in self._scanned():
            keys = [key for unit, key in found if matches(unit)]
            if keys:
                count += sum(link.call(partial(_forgetting, keys)))
        return count

    def forget_quietly(self, matches: Callable[[CacheKey], bool]) -> None:
        """The same, as far as it can be done."""
        if not self.is_open:
            try:
                self.forget(matches)
            except LinkError as error:
                self.open(str(error))

    def held_units(self) -> Iterator[CacheKey]:
        """The unit of every key that this run of the servers has for the environment. Raises LinkError."""
        for _, found in self._scanned():
            yield from (unit for unit, _ in found)

    def _scanned(self) -> Iterator[tuple[Link, list[tuple[CacheKey, bytes]]]]:
        for link in self.topology.links():
            cursor: object = 0
            while True:
                ((cursor, keys),) = link.call(partial(self._scan, cursor))
                units = ((self.namespace.unit(key), key) for key in keys)
                yield link, [(unit, key) for unit, key in units if unit is not None and unit[0] not in _NO_UNITS]
                if cursor in (0, b"0"):
                    break

    def _scan(self, cursor: object, run_id: bytes) -> list[Command]:
        return [("SCAN", cursor, "MATCH", self.namespace.pattern(run_id), "COUNT", SCAN_KEYS)]

    def _each(self, units: Sequence[CacheKey], command: CommandOf) -> list[object] | None:
        """The reply to each unit's command; None, and the breaker open, when one of the servers fails."""
        try:
            return self._asked(units, command)
        except LinkError as error:
            self.open(str(error))
            return None

    def _asked(self, units: Sequence[CacheKey], command: CommandOf, space: Namespace | None = None) -> list[object]:
        """The same; raises LinkError, when all servers have been asked."""
        names = space or self.namespace
        replies: dict[int, object] = {}
        failed: LinkError | None = None

        def of(numbers: Sequence[int], run_id: bytes) -> list[Command]:
            return [command(number, partial(names.key, run_id=run_id)) for number in numbers]

        for link, numbers in self._by_link(units, names):
            try:
                replies |= zip(numbers, self._replies(link, numbers, of), strict=True)
            except LinkError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return [replies[number] for number in range(len(units))]

    def _replies(
        self, link: Link, numbers: Sequence[int], of: Callable[[Sequence[int], bytes], list[Command]]
    ) -> list[object]:
        """Of one server, or of that which it names instead. Raises LinkError, when each command has been tried."""
        replies = link.call(partial(of, numbers), errors=True)
        for place, number in enumerate(numbers):
            if is_redirect(replies[place]):
                (replies[place],) = followed(self.topology, (replies[place],), partial(of, (number,)))
        check(replies)
        return replies

    def _by_link(
        self, units: Sequence[CacheKey], space: Namespace | None = None
    ) -> Iterator[tuple[Link, Sequence[int]]]:
        """The numbers of units by the server that has them. Raises LinkError, at the end, for those that none has."""
        if (single := self.topology.single) is not None:
            yield single, range(len(units))
            return
        groups: dict[int, tuple[Link, list[int]]] = {}
        failed: LinkError | None = None
        for number, unit in enumerate(units):
            try:
                link = self.topology.link((space or self.namespace).slot_key(unit))
            except LinkError as error:
                failed = error
                continue
            groups.setdefault(id(link), (link, []))[1].append(number)
        yield from groups.values()
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Close all connections."""
        self.topology.close()


_NO_UNITS = ("probe", *WITNESS_UNIT)
"""Keys that are none of units: release 0.1.0 writes the first, to see whether a server takes writes again."""


def _forgetting(keys: Sequence[bytes], run_id: bytes) -> list[Command]:
    return [("EVAL", FORGET, 1, key) for key in keys]
