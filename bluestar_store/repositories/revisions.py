"""Revisions: which items transactions changed lately, for readers of several items to look at; see `moments`.

On AWS the items of a transaction become visible to queries and to BatchGetItem one by one. So each transaction that
writes rules leaves in the revision of their level (a plan, GLOBAL, DEFAULT) when it was sent and what it wrote, and one
that writes several items of a batch leaves the same in the head of the batch's trail, one of holds in their guard. A
level's revision lies where the head of a trail could: older releases and other programs know what to do with such an
item, which is nothing.

A revision is written without being read: each transaction sets an attribute of its own, so two that have nothing else
in common do not fail for it. Attributes that are past their time are removed by later transactions, and
what processes left that wrote once by readers (`tidy`).
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from bluestar_store.engines.checks import checked
from bluestar_store.errors import AccessDeniedError, BlueStarError, EngineError, InvalidWriteError, ItemTooLargeError
from bluestar_store.forking import remember
from bluestar_store.keys import GLOBAL, Key
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.mapper import ListedIn, Mapper
from bluestar_store.models.audit import CHAIN_HEAD
from bluestar_store.models.holds import HOLD_GUARD
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import (
    ANY,
    EXISTS,
    SETTLING_SECONDS,
    BeforeAttempt,
    Check,
    Delete,
    Engine,
    Item,
    Place,
    Put,
    Update,
    Write,
    write_announced,
)
from bluestar_store.repositories.late_moves import LateMoves, Moved
from bluestar_store.repositories.moves import MAX_TIME_DIGITS, Move

MARGIN_SECONDS = 2.0
"""How far the clocks of two machines may be apart, and the commit be behind the time that its move has."""
READING_SECONDS = 10.0
"""How long a read of several items takes; one that took longer is made again."""
YOUNG_SECONDS = SETTLING_SECONDS + MARGIN_SECONDS
"""A transaction whose time is older than that is visible to every read."""
KEPT_SECONDS = YOUNG_SECONDS + READING_SECONDS + MARGIN_SECONDS
"""How long a move stays listed: as long as a read may be under way that has to know of it."""

MOVE, MANY = "bs_move", "bs_many"
"""Attributes of a revision: one for each transaction, and the time when there were too many to list."""
LEVELS = "bs_levels"
"""Stands where the head of a trail names a table: no table has such a name."""
LEVEL_PARTITIONS = f"TRAIL#{LEVELS}#"
MOST_BYTES = 3600
"""What the moves of a revision take: it is read by one block of 4 KB (AWS), so it stays below that with its key."""
MOST_MOVES = 12
"""Moves that a revision has before they are made one, which takes less room."""
LEFT_SECONDS = 300.0
"""A move that is older than that was left behind by a process that wrote no more: see `tidy`."""
MOST_REMOVED = 200
"""Attributes that one update removes besides what it sets: see `engines.checks.MAX_CHANGES`."""
LONGEST_LEVEL = 1024
"""Bytes of a level that stands in a key as it is."""
KNOWN = 1024
"""Revisions of which this process remembers what can be removed."""
TURNS = 64
TURN_SECONDS = 1.0
"""How long a thread waits for others of its process that write the same level: AWS refuses one of two at once."""

REVISED = tuple(mapper.keys.sort.prefix for mapper in (CHAIN_HEAD, HOLD_GUARD))
"""Sort keys of the items that are revisions besides."""


@dataclass(frozen=True)
class Revision:
    """What an item says of the transactions of late; `many`: when there were more than could be listed."""

    moves: Mapping[str, Move]
    many: float | None

    @classmethod
    def of(cls, item: Item | None) -> Revision:
        """Nothing for no item."""
        item = item or {}
        moves = {name: move for name in item if name.startswith(MOVE) and (move := _move(item[name])) is not None}
        many = item.get(MANY, {}).get("N", "")
        return cls(moves, int(many) / 1000 if many.isdecimal() and len(many) <= MAX_TIME_DIGITS else None)


class Located(NamedTuple):
    """What is written at a place: its kind, and what its key says."""

    mapper: Mapper[Any]
    identity: Mapping[str, Any]


class Revisions:
    """Moves the revisions of what is written. Safe for threads and for fork."""

    def __init__(self, tables: Tables, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._tables, self._now, self._monotonic = tables, now, monotonic
        self._known: OrderedDict[Place, dict[str, Move]] = OrderedDict()
        self._late = LateMoves()
        self._may_tidy = True
        """Until this process was told that it may not write."""
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: nobody holds its parent's locks there."""
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(TURNS)]
        self._late.forked()

    @cached_property
    def _kinds(self) -> Mapping[str, list[tuple[str, Mapper[Any]]]]:
        """The kinds in each table, with what their sort keys begin with."""
        kinds: dict[str, list[tuple[str, Mapper[Any]]]] = {}
        for kind in self._tables.kinds:
            kinds.setdefault(self._tables.name(kind), []).append((kind.keys.sort.prefix, kind))
        return kinds

    @cached_property
    def are_kept(self) -> bool:
        """Not by a fake of one kind, which has no trails."""
        return CHAIN_HEAD in self._tables.kinds

    @cached_property
    def table(self) -> str:
        """Where revisions lie."""
        return self._tables.name(CHAIN_HEAD)

    def of_level(self, level: str) -> Place:
        """Where the revision of a level lies."""
        return self.table, level_key(level)

    def of_holds(self, plan_id: str) -> Place:
        """Where that of a plan's holds lies: their guard, which each change of a hold changes."""
        return self._tables.name(HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": plan_id})

    def of_trail(self, pk: str) -> Place:
        """Where that of a batch lies, by its partition: the head of its trail, as any trail has one."""
        return self.table, Key(pk, CHAIN_HEAD.keys.sort.prefix)

    def places(self, move: Move) -> Iterator[Place]:
        """Where the items of a move lie here."""
        names = {mapper.table: self._tables.name(mapper) for mapper in self._tables.kinds}
        return ((names[table], key) for table, key in move.keys if table in names)

    def learn(self, place: Place, item: Item | None) -> Revision:
        """What an item that was read says; a later write removes what is past its time."""
        revision = Revision.of(item)
        if revision.moves:
            with self._lock:
                self._known[place] = dict(revision.moves)
                self._known.move_to_end(place)
                if len(self._known) > KNOWN:
                    self._known.popitem(last=False)
        return revision

    def has_left(self, revision: Revision) -> bool:
        """Whether more than one process keeps was left in it, and this one may take it out."""
        return self._may_tidy and len(self._left(revision)) > MOST_MOVES

    def _left(self, revision: Revision) -> list[str]:
        now = self._now().timestamp()
        return [name for name, move in revision.moves.items() if now - move.at > LEFT_SECONDS]

    def tidy(self, engine: Engine, place: Place) -> None:
        """Take out of a level's revision what processes left there that wrote once: readers would pay for it.

        What fails is left to others; by who may not write, for good.
        """
        table, key = place
        try:
            revision = self.learn(place, engine.get(table, [key], consistent=True).get(key))
            if self.has_left(revision):
                removed = frozenset(self._left(revision)[:MOST_REMOVED])
                engine.write(Update(table, key, set={}, remove=removed, expect=EXISTS))
        except AccessDeniedError:
            self._may_tidy = False
        except BlueStarError:
            return

    def send(
        self,
        engine: Engine,
        writes: Mapping[Place, Write],
        located: Mapping[Place, Located] | None = None,
        before_attempt: BeforeAttempt | None = None,
    ) -> None:
        """Make the writes, and the moves that go with them, in one transaction.

        Where that has no room for the moves, they are made before it: a reader who is told of a transaction too early
        reads what it did not write yet, as it is. A write that took long, or whose outcome is unknown, may have been
        committed later than its moves say: they are made once more. `located` is what `located` says of the writes;
        `before_attempt` is called before each attempt at them. Raises what `Engine.write` raises.
        """
        moved = self._moved(writes, self.located(writes) if located is None else located)
        if not moved:
            write_announced(engine, writes.values(), before_attempt)
            return
        with self._in_turn(moved):
            began = self._monotonic()
            moves = self._moves(moved)
            together = dict(writes)
            for place, move in moves.items():
                together[place] = _with(writes[place], move) if place in writes else move
            try:
                try:
                    write_announced(engine, together.values(), before_attempt)
                except (InvalidWriteError, ItemTooLargeError):
                    checked(list(writes.values()))  # too much, or wrong, even without the moves
                    for place in filter(lambda place: is_level_revision(place[1]), moves):
                        self.tidy(engine, place)  # nobody read it for so long that it is full
                    engine.write(*moves.values())
                    write_announced(engine, writes.values(), before_attempt)
            except BlueStarError as error:
                if isinstance(error, EngineError) and error.outcome_unknown:
                    self._move_later(engine, moved)
                raise
            if self._monotonic() - began > MARGIN_SECONDS / 2:  # its time is no good any more
                try:
                    engine.write(*self._moves(moved).values())
                except BlueStarError:
                    self._move_later(engine, moved)

    def _move_later(self, engine: Engine, moved: Moved) -> None:
        """Make the moves as soon as the engine takes them: whoever wrote is told at once."""
        self._late.add(moved, lambda late: engine.write(*self._moves(late).values()))

    def close(self) -> None:
        """End what is made later."""
        self._late.close()

    @contextmanager
    def _in_turn(self, places: Iterable[Place]) -> Iterator[None]:
        turns = {hash(place) % TURNS for place in places if is_level_revision(place[1])}
        with ExitStack() as stack:
            for turn in sorted(turns):
                if self._turns[turn].acquire(timeout=TURN_SECONDS):
                    stack.callback(self._turns[turn].release)
            yield

    def _moved(
        self, writes: Mapping[Place, Write], located: Mapping[Place, Located]
    ) -> dict[Place, list[tuple[str, Key]]]:
        """What is to be listed in which revision."""
        moved: dict[Place, list[tuple[str, Key]]] = {}
        if not self.are_kept:
            return moved
        batches: dict[str, list[tuple[str, Key]]] = {}
        appended = {key.pk for (_, key), write in writes.items() if isinstance(write, Put) and write.once}
        for (_, key), (mapper, identity) in located.items():
            if mapper.is_of_level:
                moved.setdefault(self.of_level(identity.get("plan_id") or GLOBAL), []).append((mapper.table, key))
            elif mapper.listed_in is ListedIn.HOLDS and (guard := self.of_holds(identity["plan_id"])) in writes:
                moved.setdefault(guard, []).append((mapper.table, key))
            elif mapper.listed_in is ListedIn.BATCH:
                batches.setdefault(key.pk, []).append((mapper.table, key))
            elif mapper.append_only:
                appended.add(key.pk)
        for pk, keys in batches.items():
            head = self.of_trail(pk)
            count = len(keys) + (pk in appended) + isinstance(writes.get(head), Put | Update)
            if count > 1 and not isinstance(writes.get(head), Delete):
                moved[head] = keys
        return moved

    def located(self, writes: Mapping[Place, Write]) -> dict[Place, Located]:
        """What is written where, each key parsed once; without checks, trails' entries and what is of no kind."""
        found = {}
        for (table, key), write in writes.items():
            if isinstance(write, Check) or (isinstance(write, Put) and write.once):
                continue
            for prefix, mapper in self._kinds.get(table, ()):
                if key.sk.startswith(prefix) and (identity := mapper.keys.parse(key)) is not None:
                    found[table, key] = Located(mapper, identity)
                    break
        return found

    def _moves(self, moved: Moved) -> dict[Place, Update]:
        now = self._now().timestamp()
        return {place: self._move(place, Move.of(now, keys)) for place, keys in moved.items()}

    def _move(self, place: Place, move: Move) -> Update:
        with self._lock:
            known = self._known.pop(place, {})
            kept = {name: other for name, other in known.items() if move.at - other.at <= KEPT_SECONDS}
            made = {_new_name(): move}
            if len(kept) > MOST_MOVES or _bytes(made, kept) > _room(place):
                made |= {_new_name(): _together(kept.values())} if kept else {}
                kept = {}
            sets = {name: {"S": one.text} for name, one in made.items()}
            if _bytes(made, kept) > _room(place):
                made, kept = {}, {}
                sets = {MANY: {"N": str(int(move.at * 1000))}}
            removed = frozenset(islice(known.keys() - kept.keys(), MOST_REMOVED))
            self._known[place] = {name: one for name, one in known.items() if name not in removed} | made
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return Update(*place, set=sets, remove=removed, expect=ANY)


def _new_name() -> str:
    return f"{MOVE}_{uuid.uuid4().hex[:12]}"


def _room(place: Place) -> int:
    """What moves may take there; at least what a small one does."""
    return max(MOST_BYTES - len(place[1].pk.encode()), MOST_BYTES // 2)


def _bytes(*moves: Mapping[str, Move]) -> int:
    """What they take in an item."""
    return sum(len(name) + len(move.text.encode()) for some in moves for name, move in some.items())


def _together(moves: Collection[Move]) -> Move:
    keys = dict.fromkeys(key for move in moves for key in move.keys)
    return Move.of(max(move.at for move in moves), keys)


@lru_cache(KNOWN)
def level_key(level: str) -> Key:
    """The key of a level's revision."""
    if len(level.encode()) > LONGEST_LEVEL:
        level = hashlib.sha256(level.encode()).hexdigest()
    return CHAIN_HEAD.keys.build({"batch_id": None, "table": LEVELS, "partition": level})


def is_level_revision(key: Key) -> bool:
    """Whether the revision of a level lies there."""
    return key.pk.startswith(LEVEL_PARTITIONS)


def without_moves(item: Item) -> Item:
    """The item without what it says as a revision: that is of this store's tables, and of some seconds only."""
    if item["SK"]["S"] not in REVISED:
        return item
    return {name: value for name, value in item.items() if not name.startswith(MOVE) and name != MANY}


def says_nothing_else(item: Item) -> bool:
    """Whether an item is there only for what it says as a revision, and else as good as none."""
    return without_moves(item).keys() <= {"PK", "SK"}


def _move(value: Mapping[str, Any]) -> Move | None:
    return Move.parse(text) if isinstance(text := value.get("S"), str) else None


def _with(write: Write, move: Update) -> Write:
    """A write of the item that the move is for, with the move in it."""
    match write:
        case Put():
            return replace(write, item={**write.item, **move.set})
        case Update():
            return replace(write, set={**write.set, **move.set}, remove=write.remove | move.remove)
        case Check():
            return replace(move, expect=write.expect)
    return write
