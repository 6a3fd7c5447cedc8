"""The first tier: decoded values in this process, the least recently used ones dropped when room is short.

A value gets in only by the flight that loaded it, and only while that flight is the unit's current one: an invalidation
takes the flight away along with the entry, so what was loaded before it cannot come in after it.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cachetools import LRUCache

from bluestar_store.cache.bars import Bars
from bluestar_store.cache.flights import Flight
from bluestar_store.cache.limits import AHEAD
from bluestar_store.protocols import MISSING, SETTLING_SECONDS, CacheKey, Heirs

ENTRY_BYTES = 640
"""What an entry takes besides its value: its slots, its unit and its places in three dictionaries (measured)."""
MOST_DROPPED = 4096
"""Units of which it is remembered when they were dropped."""
SECOND_CHANCES = 16
"""Entries in use that one eviction passes over."""


class Entry:
    """A value and its times, on the clock of the cache. `due`: from then on a look is not enough (see `peek`).

    `moment`: see Loaded. An entry that is still there has not been invalidated; an equal value may be another entry.
    """

    __slots__ = ("due", "expires", "moment", "stored", "used", "value", "weight")

    def __init__(self, value: Any, moment: object, stored: float, due: float, expires: float, weight: int) -> None:
        self.value, self.moment, self.stored, self.due, self.expires = value, moment, stored, due, expires
        self.weight = weight
        self.used = False


class Recent(LRUCache[CacheKey, Entry]):
    """An LRU whose hits take no lock: they read `found` and mark the entry; its place moves when room is short."""

    def __init__(self, max_bytes: int, found: dict[CacheKey, Entry]) -> None:
        super().__init__(max(max_bytes, 1), getsizeof=_weight)
        self.found = found

    def __setitem__(self, unit: CacheKey, entry: Entry) -> None:
        super().__setitem__(unit, entry)
        self.found[unit] = entry

    def __delitem__(self, unit: CacheKey) -> None:
        self.found.pop(unit, None)
        super().__delitem__(unit)

    def popitem(self) -> tuple[CacheKey, Entry]:
        """Drop the entry that has not been used for longest.

        One that was used since it came last is put behind, but not more than a few: who waits, waits for this.
        """
        for _ in range(SECOND_CHANCES):
            unit, entry = super().popitem()
            if not entry.used:
                return unit, entry
            entry.used = False
            self[unit] = entry
        return super().popitem()


class Aside:
    """The moment of values that were loaded without asking who is writing: only those of the same one go together."""


class Loaded:
    """A value, until when this process may keep it (by the cache's clock; None: not at all), and what it weighs.

    `moment` is the same of values that were there together.
    """

    __slots__ = ("moment", "until", "value", "weight")

    def __init__(self, value: Any, moment: object, until: float | None = None, weight: int = 0) -> None:
        self.value, self.moment, self.until, self.weight = value, moment, until, weight

    def instead(self, value: Any) -> Loaded:
        """Another value in its place, which is not kept."""
        return Loaded(value, self.moment)


class Local:
    """Safe for threads. Every method but the peeks holds a lock, for no longer than a few dictionary operations.

    `hits` are those of the peeks; two threads at the very same moment may count as one.
    """

    def __init__(self, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_entries, self._max_bytes, self._clock = max_entries, max_bytes, clock
        self.hits = self.flushes = 0
        self.bars = Bars(clock)
        self.trusted_until = math.inf
        """Until when what is here may be given without asking: heartbeats of the channel move it, if there is one."""
        self._found: dict[CacheKey, Entry] = {}
        self.peek, self.peek_first = self._peeking()
        self.reset()

    def reset(self) -> None:
        """Empty, and with a lock of its own: a forked child cannot trust its parent's."""
        self._lock = threading.Lock()
        self._empty()
        self._flights: dict[CacheKey, Flight] = {}
        self._dropped = OrderedDict[CacheKey, float]()
        self.bars.reset()
        self.trusted_until = math.inf

    def _empty(self) -> None:
        self._found.clear()
        self._entries = Recent(self._max_bytes, self._found)

    def _peeking(self) -> tuple[Callable[[CacheKey], Any], Callable[[CacheKey, CacheKey, CacheKey, Heirs], Any]]:
        """The way of every hit: functions of their own, with nothing to look up that does not change."""
        get, clock = self._found.get, self._clock

        def peek(unit: CacheKey) -> Any:
            """The value; MISSING when there is none, it is due, or the process has to ask first.

            Takes no lock: dictionaries are safe to read.
            """
            entry = get(unit)
            if entry is None or entry.due <= (now := clock()) or self.trusted_until <= now:
                return MISSING
            entry.used = True
            self.hits += 1
            return entry.value

        def peek_first(kind: CacheKey, own: CacheKey, other: CacheKey, heirs: Heirs) -> Any:
            """See Cache. An absence holds as long as its entry is there: one that came again was not there all along.

            The entry of the absence is looked up again after the other: both were there then.
            """
            entry = get(unit := kind + own)
            if entry is None or entry.due <= (now := clock()) or self.trusted_until <= now:
                return MISSING
            if (value := entry.value) is not None:
                entry.used = True
                self.hits += 1
                return value
            second = get(kind + other)
            if second is None or second.due <= now or get(unit) is not entry:
                return MISSING
            if second.moment is not entry.moment and second.moment.__class__ is Aside:
                return MISSING
            entry.used = second.used = True
            self.hits += 2
            if (value := second.value) is None:
                return None
            kept = heirs.get(own)
            return kept[2] if kept is not None and kept[0] is value else heirs.make(own, value)

        return peek, peek_first

    def peek_all(self, units: Sequence[CacheKey], settles: Callable[[Any], bool]) -> list[Any] | None:
        """See Cache."""
        entries: list[Entry] = []
        for unit in units:
            entry = self._found.get(unit)
            if entry is None or entry.due <= (now := self._clock()) or self.trusted_until <= now:
                return None
            entry.used = True
            entries.append(entry)
            if settles(entry.value):
                break
        for unit, entry in zip(units, entries[:-1], strict=False):
            if self._found.get(unit) is not entry:
                return None
        if any(entry.moment is not entries[-1].moment and type(entry.moment) is Aside for entry in entries):
            return None
        self.hits += len(entries)
        return [entry.value for entry in entries]

    def look(self, unit: CacheKey) -> Entry | None:
        """The entry, even when it is due, expired, or kept for the case of an error only."""
        return self._found.get(unit)

    def take_refresh(self, unit: CacheKey, entry: Entry) -> bool:
        """Whether the caller is the one to refresh an entry that is due; nobody else is told so again."""
        with self._lock:
            if entry.due >= entry.expires or self._found.get(unit) is not entry:
                return False
            entry.due = entry.expires
            return True

    def board(
        self, units: Iterable[CacheKey], settles: Callable[[Any], bool]
    ) -> tuple[dict[CacheKey, Entry], dict[CacheKey, Flight], dict[CacheKey, Flight]]:
        """The entries that are here; of the rest, the flights that the caller leads, and those that others lead.

        Units after an entry whose value settles the question are in none of them.
        """
        here: dict[CacheKey, Entry] = {}
        leading: dict[CacheKey, Flight] = {}
        following: dict[CacheKey, Flight] = {}
        with self._lock:
            now = self._clock()
            for unit in units:
                entry = self._found.get(unit)
                if entry is not None and entry.expires > now and self.trusted_until > now:
                    here[unit] = entry
                    if settles(entry.value):
                        break
                elif (flight := self._flights.get(unit)) is None:
                    leading[unit] = self._flights[unit] = Flight()
                elif flight is not leading.get(unit):
                    following[unit] = flight.awaited()
        return here, leading, following

    def board_refresh(self, unit: CacheKey) -> Flight | None:
        """A flight for a unit that is here and soon will not be; None when somebody is loading it already."""
        with self._lock:
            flight, leads = self._join(unit)
            return flight if leads else None

    def board_anew(self, units: Iterable[CacheKey]) -> dict[CacheKey, Flight]:
        """New flights, in the place of those that may have read too early."""
        flights = {unit: Flight() for unit in units}
        with self._lock:
            self._flights |= flights
        return flights

    def succeed(self, unit: CacheKey, flight: Flight) -> tuple[Flight, bool]:
        """The flight that takes the place of one that gives no value, and whether the caller leads it.

        The same for all who waited: one of them loads, and the others wait for that one.
        """
        with self._lock:
            if flight.successor is not None:
                return flight.successor, False
            if self._flights.get(unit) is flight:
                del self._flights[unit]
            successor, leads = self._join(unit)
            flight.successor = successor.awaited()  # those who come after this one may come late
            return successor, leads

    def _join(self, unit: CacheKey) -> tuple[Flight, bool]:
        flight = self._flights.get(unit)
        if flight is not None:
            return flight, False
        flight = self._flights[unit] = Flight()
        return flight, True

    def give_up(self, unit: CacheKey, flight: Flight) -> None:
        """Take a flight away that brings nothing: the next one to board leads another."""
        with self._lock:
            if self._flights.get(unit) is flight:
                del self._flights[unit]

    def recognize(self, loaded: Mapping[CacheKey, Loaded]) -> None:
        """Give what was loaded aside the moment of what is here, if its last value is the same as there.

        So what many plans inherit goes on belonging to what each of them was loaded with.
        """
        unit, last = list(loaded.items())[-1]
        entry = self._found.get(unit)
        if type(last.moment) is Aside and entry is not None and type(entry.moment) is Aside:
            for one in loaded.values() if entry.value == last.value else ():
                one.moment = entry.moment

    def land(self, flights: Mapping[CacheKey, Flight], loaded: Mapping[CacheKey, Loaded], most_seconds: float) -> None:
        """Keep what was loaded, unless its unit was invalidated meanwhile, and give it to those who wait.

        What may not be kept is not, and an older value of it is not kept either. Whoever waits for what was not loaded,
        because nobody needed it, leads.
        """
        with self._lock:
            for unit, flight in flights.items():
                if self._flights.get(unit) is flight:
                    del self._flights[unit]
                    one = loaded.get(unit)
                    if one is None:
                        continue
                    if unit in self._found:
                        del self._entries[unit]
                    if one.until is not None:
                        self._put(unit, one, one.until, most_seconds)
        for unit, flight in flights.items():
            if flight.under_way is None:
                continue
            if unit in loaded:
                flight.land(loaded[unit])
            else:
                flight.turn_back()

    def land_instead(self, unit: CacheKey, flight: Flight, instead: Loaded) -> None:
        """Give those who wait what there is instead of a loaded value; what is kept stays."""
        self.give_up(unit, flight)
        flight.land(instead)

    def _put(self, unit: CacheKey, one: Loaded, until: float, most_seconds: float) -> None:
        now, weight = self._clock(), one.weight + ENTRY_BYTES
        seconds = min(until - now, most_seconds)
        if seconds <= 0 or self.bars.stand(unit) or weight > self._max_bytes or self._max_entries < 1:
            return
        expires = now + seconds
        self._entries[unit] = Entry(one.value, one.moment, now, expires - seconds * AHEAD, expires, weight)
        while len(self._entries) > self._max_entries:
            self._entries.popitem()

    def drop(self, units: Iterable[CacheKey]) -> None:
        """Forget the units, and let no load of them that is under way in."""
        with self._lock:
            now = self._clock()
            for unit in units:
                self._dropped[unit] = now
                self._dropped.move_to_end(unit)
                self._entries.pop(unit, None)
                self._flights.pop(unit, None)
            while len(self._dropped) > MOST_DROPPED:
                self._dropped.popitem(last=False)

    def changed_lately(self, unit: CacheKey) -> bool:
        """Whether it was dropped lately, so that a query may still show what was there before; see `Cache`."""
        at = self._dropped.get(unit)
        return at is not None and self._clock() - at < SETTLING_SECONDS

    def drop_where(self, matches: Callable[[CacheKey], bool]) -> int:
        """Forget every unit that matches, and the loads of such units; how many entries there were."""
        with self._lock:
            entries = [unit for unit in self._entries if matches(unit)]
            for unit in entries:
                del self._entries[unit]
            for unit in [unit for unit in self._flights if matches(unit)]:
                del self._flights[unit]
            return len(entries)

    def bar(self, units: Sequence[CacheKey], writer: bytes, seconds: float, *, heard: bool = False) -> None:
        """Forget the units and keep them out for a while: a writer is at them, or may be. See Bars."""
        self.bars.put(units, writer, seconds, heard=heard)
        self.drop(units)

    def flush(self) -> None:
        """Forget everything, and let no load that is under way in."""
        with self._lock:
            self._empty()
            self._flights.clear()
            self.flushes += 1

    def turn_off(self) -> None:
        """Keep nothing from now on."""
        with self._lock:
            self._max_entries = 0
        self.flush()

    @property
    def entries(self) -> int:
        """How many there are."""
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """About how many bytes they take."""
        return int(self._entries.currsize)


def _weight(entry: Entry) -> int:
    return entry.weight
