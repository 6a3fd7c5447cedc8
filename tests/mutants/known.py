"""Mutants by hand: changes that mutmut does not make, since what they change is a constant, or that survived before.

The scripts that Redis runs are texts, and races hardly ever show what these changes lose: so each has to be found by
quick tests that put two processes, or two threads, into one order.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A text of a file that occurs once there, what is put in its place, and the tests that are to fail then."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


LOCAL, STORED = "bluestar_store/cache/local.py", "bluestar_store/cache/redis/stored.py"
LOCAL_TESTS = ("tests/cache/test_local_loads.py",)
STORED_TESTS = ("tests/cache/test_compare_and_set.py", "tests/cache/test_write_orders.py")

KNOWN = (
    Known(
        "what was invalidated while it was loaded is kept",
        LOCAL,
        "if self._in_flight.get(cache_key) is load:  # not invalidated since it began\n"
        "                    del self._in_flight[cache_key]\n",
        "if True:\n                    self._in_flight.pop(cache_key, None)\n",
        LOCAL_TESTS,
    ),
    Known(
        "an invalidation leaves loads that are under way",
        LOCAL,
        "            self._entries.pop(cache_key, None)\n                self._in_flight.pop(cache_key, None)",
        "            self._entries.pop(cache_key, None)",
        LOCAL_TESTS,
    ),
    Known(
        "what a writer may be changing is kept",
        LOCAL,
        "self.writes.cover(cache_key) or ",
        "",
        LOCAL_TESTS,
    ),
    Known(
        "a value is stored in Redis over whatever lies there",
        STORED,
        "if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end",
        "",
        STORED_TESTS,
    ),
    Known(
        "a second writer's tombstone replaces the first one's",
        STORED,
        "      kept[#kept + 1] = token .. ':' .. ends .. ';'\n",
        "",
        STORED_TESTS,
    ),
    Known(
        "to forget a value removes a tombstone",
        STORED,
        "if redis.pcall('GETRANGE', KEYS[1], 0, 0) == 'T' then return 0 end",
        "",
        STORED_TESTS,
    ),
    Known(
        "the end of a write leaves its tombstone",
        STORED,
        "if token ~= ARGV[1] and tonumber(ends) > now then",
        "if tonumber(ends) > now then",
        STORED_TESTS,
    ),
)
