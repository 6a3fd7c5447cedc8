"""The second tier: encoded values in Redis, filled by lease and compare-and-set, barred by tombstones.

It never raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

from bluestar_store.cache import stored
from bluestar_store.cache.announcing import Announcer
from bluestar_store.cache.link import LinkError
from bluestar_store.cache.redirects import followed
from bluestar_store.cache.scripts import FILL
from bluestar_store.cache.servers import WITNESS_UNIT
from bluestar_store.cache.stored import (
    CLOCKS_APART_MS,
    LEASE_MS,
    Abandoned,
    Busy,
    Fill,
    Held,
    Leased,
    Outdated,
    Stored,
    Unsigned,
)
from bluestar_store.cache.wire import Command, packed
from bluestar_store.protocols import CacheKey

LOOKS_KEPT = 8192
"""Units whose commands need not be packed again."""
MAX_DOUBTED = 10_000
"""Units that are not believed one by one; when there are more, nothing is that is there already."""


Looked: TypeAlias = tuple[Mapping[CacheKey, tuple[object, object]], bytes, float]
"""What the keys of some units held when we tried to put our lease there, and how long each still will, as Redis said
it; that lease; and when that was."""


class Remote(Announcer):
    """Safe for threads."""

    def reset(self) -> None:
        """Start anew, as a forked child has to."""
        super().reset()
        self._leases = stored.leases()
        self._doubted: dict[CacheKey, float] = {}
        self._discarded: set[CacheKey] = set()
        # The way of every hit. Packing it anew takes as long as sending it; one script takes the server longer.
        self._kept_look = lru_cache(LOOKS_KEPT)(self._look)

    def look(self, units: Sequence[CacheKey]) -> Looked | None:
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
            found: dict[CacheKey, Any] = dict.fromkeys(units)  # in their order, whichever server answers first
            for link, numbers in self._by_link(units):
                asked = [units[number] for number in numbers]
                replies = iter(link.call_packed(partial(self._look_request, asked, lease), errors=True))
                for unit, pair in zip(asked, zip(replies, replies, strict=True), strict=True):
                    again = partial(self._look_commands, unit, lease)
                    found[unit] = tuple(followed(self.topology, pair, again))
        except LinkError as error:
            self.open(str(error))
            return None
        return found, lease, self._clock()

    def _look_request(self, units: Sequence[CacheKey], lease: bytes, run_id: bytes) -> tuple[bytes, int]:
        parts: list[bytes] = []
        for unit in units:
            before, after = self._kept_look(unit, run_id)
            parts += (before, lease, after)
        return b"".join(parts), 2 * len(units)

    def _look(self, unit: CacheKey, run_id: bytes) -> tuple[bytes, bytes]:
        """What stands before and after our lease in the two commands of a look."""
        lease = stored.lease(b"-" * stored.TOKEN_BYTES)
        before, _, after = packed(self._look_commands(unit, lease, run_id)).rpartition(lease)
        return before, after

    def _look_commands(self, unit: CacheKey, lease: bytes, run_id: bytes) -> list[Command]:
        key = self.namespace.key(unit, run_id)
        return [("SET", key, lease, "NX", "GET", "PX", LEASE_MS), ("PTTL", key)]

    def state(self, unit: CacheKey, content: object, left: object, lease: bytes, now: float) -> Stored:
        """What a key held when we tried to put our lease there, by its content and PTTL.

        A value that came in before the last outage ended is Outdated, whoever it is from: a writer may have been cut
        off too. So is one from before a write that Redis was not told of. A lease of that time is Abandoned: a server
        that hung carries out what its clients gave up long ago.
        """
        found = stored.read(content, left, lease)
        since = self.trusted_since
        if self._doubted:
            since = max(since, self._doubted.get(unit, since))
        if isinstance(found, Held):
            if self.signer and not self._is_ours(unit, found):
                return Unsigned(found.token)
            return Outdated(found.token) if now - found.age_ms / 1000 < since else found
        if isinstance(found, Busy) and now - (LEASE_MS - found.remaining_ms) / 1000 < since:
            return Abandoned(found.token)
        return found

    def _is_ours(self, unit: CacheKey, held: Held) -> bool:
        """Whether one of our keys has signed a value, for this unit, and not longer ago than it may live.

        By the time that was signed, too: whoever keeps an old value may put it there again, for as long as he likes.
        """
        if held.signed is None or not self.signer.is_signed(self._context(unit), *held.signed):
            return False
        lifetime_ms = held.age_ms + held.remaining_ms
        left_ms = held.written_ms + lifetime_ms + CLOCKS_APART_MS - int(time.time() * 1000)
        held.remaining_ms = min(held.remaining_ms, left_ms)
        return left_ms > 0

    def _context(self, unit: CacheKey) -> bytes:
        return self.namespace.slot_key(unit)

    def moment(self, unit: CacheKey, lease: bytes) -> object:
        """The same for what one look finds on one server: it was there together.

        For a write bars all that it changes before it commits, and a server carries out one look as a whole.
        """
        if self.topology.single is not None:
            return lease
        return lease, self.topology.link(self.namespace.slot_key(unit))

    def doubt(self, units: Iterable[CacheKey]) -> None:
        """Believe nothing that Redis has of the units: their tombstones could not be put there.

        What lies there is removed as soon as that can be done, for those who come later.
        """
        now = self._clock()
        with self._lock:
            for unit in units:
                self._doubted[unit] = now
                self._discarded.add(unit)
            if len(self._doubted) > MAX_DOUBTED:
                self.trusted_since = now
                self._doubted.clear()
                self._discarded.clear()
        self.clean()

    def clean(self) -> None:
        """Remove what was doubted, if Redis lets us by now."""
        if self.is_open or not self._discarded:
            return
        with self._lock:
            units, self._discarded = list(self._discarded), set()
        if not self.discard(units):
            with self._lock:
                self._discarded.update(units)

    def fill(self, fills: Mapping[CacheKey, Fill]) -> Mapping[CacheKey, int]:
        """Put values where our claim still stands; for how many ms they may live, 0 where it does not.

        Empty when Redis is out.
        """
        if self.is_open or not fills:
            return {}

        def command(number: int, key: Callable[[CacheKey], bytes]) -> Command:
            unit, fill = units[number], wanted[number]
            keys = [key(unit)] if fill.lifetime_ms <= fill.sure_ms else [key(unit), key(WITNESS_UNIT)]
            times = fill.lifetime_ms, fill.sure_ms
            return "EVAL", FILL, len(keys), *keys, fill.claim, self._content(unit, fill), *times

        units, wanted = list(fills), list(fills.values())
        replies = self._each(units, command) or ()
        return {
            unit: reply if isinstance(reply, int) and 0 <= reply <= fill.lifetime_ms else 0
            for (unit, fill), reply in zip(fills.items(), replies, strict=bool(replies))
        }

    def witnessed_seconds(self) -> float:
        """For how long the server has kept what it was told, as far as a fill can ask it whether it still has.

        A cluster's script sees the keys of one slot, and the witness lies in another.
        """
        return self.kept_seconds() if self.topology.single is not None else 0.0

    def _content(self, unit: CacheKey, fill: Fill) -> bytes:
        if fill.payload is None:
            return b""
        if not self.signer:
            return stored.value(fill.token, fill.lifetime_ms, fill.payload)
        sign = partial(self.signer.sign, self._context(unit))
        return stored.signed_value(fill.token, fill.lifetime_ms, fill.payload, sign, int(time.time() * 1000))

    def take_over(self, unit: CacheKey, busy: Busy) -> Leased | None:
        """Our lease in place of one whose holder is not heard of; None when somebody else was faster."""
        lease = stored.new_token()
        content = stored.lease(lease)
        replies = self._each([unit], lambda _, key: ("EVAL", FILL, 1, key(unit), busy.claim, content, LEASE_MS))
        return Leased(lease) if replies == [LEASE_MS] else None

    def see(self, unit: CacheKey) -> Held | str:
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
        match self.state(unit, content, left, b"", self._clock()):
            case Held() as held:
                return held
            case Busy():
                return "a process is loading it"
            case stored.Blocked():
                return "it is being written"
            case Unsigned():
                return "what Redis has is not signed by our key"
            case Outdated() | Abandoned():
                return "what Redis has is older than its last outage"
            case stored.Garbage():
                return "what Redis has cannot be read"
        return "nothing in Redis"
