"""Consistent reads of several items: none sees a part of one of the library's transactions.

Items are read by cheap queries, and then the revisions of all levels that they belong to, isolated. If no transaction
was sent lately, the items are consistent. Otherwise the items that the revisions list are read again, in one isolated
read with the revisions, and replace those of the queries. No other item changed lately, so all are as of that moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import NamedTuple, TypeVar

from bluestar_store.errors import ChangingError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Place, key_of, settles_at_once
from bluestar_store.repositories.revisions import (
    READING_SECONDS,
    YOUNG_SECONDS,
    Revision,
    is_level_revision,
)
from bluestar_store.repositories.session import Session

R = TypeVar("R", bound="Read")

ISOLATED_AT_ONCE = 25
"""Keys of one isolated read: what plays DynamoDB in tests may take no more, as AWS once did."""
ROUNDS = 8
"""Isolated reads in which the revisions may list ever more, until all is read again."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 2.0
PATIENCE_SECONDS = 60.0
"""How long a reader waits for rules that are changed so fast that the changes cannot be listed."""


class KeyRange(NamedTuple):
    """Items of one partition whose sort keys begin with a prefix."""

    table: str
    pk: str
    prefix: str

    def has(self, place: Place) -> bool:
        """Whether it is one of them."""
        table, key = place
        return table == self.table and key.pk == self.pk and key.sk.startswith(self.prefix)


class Read:
    """What was read: items that something else may be laid over."""

    def __init__(self) -> None:
        self.beside: dict[Place, Item] = {}
        """What was read together with the revisions."""

    def has(self, place: Place) -> bool:
        """Whether a place belongs to the read."""
        raise NotImplementedError

    def lay_over(self, place: Place, item: Item | None) -> None:
        """Take over an item as it is; None: it is not there."""
        raise NotImplementedError


class Listed(Read):
    """Items of any places; `wanted` says which places belong to the read."""

    def __init__(self, items: Mapping[Place, Item], wanted: Callable[[Place], bool]) -> None:
        super().__init__()
        self.items, self._wanted = dict(items), wanted

    def has(self, place: Place) -> bool:
        """See `Read`."""
        return self._wanted(place)

    def lay_over(self, place: Place, item: Item | None) -> None:
        """See `Read`."""
        if item is None:
            self.items.pop(place, None)
        elif self._wanted(place):
            self.items[place] = item


class Found(Read):
    """The items of parts, in order of their sort keys, as queries give them."""

    def __init__(self, parts: Mapping[KeyRange, Iterable[Item]]) -> None:
        super().__init__()
        self._parts = {part: list(items) for part, items in parts.items()}
        self._changed: dict[KeyRange, dict[Key, Item]] = {}
        """Those that something was laid over."""

    def __getitem__(self, part: KeyRange) -> list[Item]:
        if (items := self._changed.get(part)) is not None:
            return [items[key] for key in sorted(items)]
        return self._parts[part]

    def has(self, place: Place) -> bool:
        """See `Read`."""
        return any(part.has(place) for part in self._parts)

    def lay_over(self, place: Place, item: Item | None) -> None:
        """See `Read`."""
        for part in filter(lambda part: part.has(place), self._parts):
            if part not in self._changed:
                self._changed[part] = {key_of(one): one for one in self._parts[part]}
            if item is None:
                self._changed[part].pop(place[1], None)
            else:
                self._changed[part][place[1]] = item


def read_levels(session: Session, levels: Iterable[str], parts: Sequence[KeyRange]) -> Found:
    """Parts of these levels; see `read_parts`."""
    return read_parts(session, [session.revisions.of_level(level) for level in dict.fromkeys(levels)], parts)


def read_parts(
    session: Session, revisions: Sequence[Place], parts: Sequence[KeyRange], *, beside: Sequence[Place] = ()
) -> Found:
    """Parts that have these revisions, each by one query, all at once; see `read_as_one`."""

    def query(part: KeyRange) -> list[Item]:
        return list(session.partition_items(*part))

    def ask() -> Found:
        return Found(dict(zip(parts, session.together([partial(query, part) for part in parts]), strict=True)))

    return read_as_one(session, revisions, ask, beside=beside, proved=lambda found: not revisions)


def read_as_one(
    session: Session,
    revisions: Sequence[Place],
    ask: Callable[[], R],
    *,
    beside: Sequence[Place] = (),
    more: Callable[[Place], bool] = lambda place: False,
    proved: Callable[[R], bool] = lambda found: False,
) -> R:
    """What `ask` finds, as of one moment; it is called again when too much changed meanwhile.

    `revisions` are those of all that it reads. `more` is shown what the revisions list and `ask` did not look for; when
    it says that `ask` now would, all is read again. `beside` are places to read as of the same moment, isolated.
    `proved` may say that what was found needs no such look. Raises ChangingError after a minute.
    """
    clock, pause = session.monotonic, FIRST_PAUSE_SECONDS
    patience = clock() + PATIENCE_SECONDS
    while True:
        look = ReadAttempt(session, revisions)
        found = ask()
        if proved(found) or look.settle(found, beside, more):
            return found
        if clock() > patience:
            tables = ", ".join(str(key) for _, key in revisions)
            raise ChangingError(f"what belongs to {tables} keeps changing while it is read; ask again in a minute")
        if look.failure is Failure.TOO_MANY and look.wait > 0:  # asking before that would be for nothing
            session.sleep(look.wait)
        elif look.failure in (Failure.TOO_MANY, Failure.BUSY):
            session.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # no secret
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


class Failure(Enum):
    """Why a look did not settle what was found."""

    SLOW, TOO_MANY, MORE, BUSY = range(4)


class ReadAttempt:
    """One try. It begins when it is made."""

    def __init__(self, session: Session, places: Sequence[Place]) -> None:
        self._session, self._engine = session, session.engine
        self._places = places if session.revisions.are_kept else ()
        self._began, self._since = session.monotonic(), session.now().timestamp() - YOUNG_SECONDS
        self.failure: Failure | None = None
        self.wait = 0.0
        """Seconds until what was too much to be listed is visible to all."""
        self._before: dict[Place, Revision] | None = None
        if settles_at_once(self._engine) and self._places:
            # All is visible: what matters is whether something changes from now on, which no clock is needed to tell.
            # A look that is behind makes a change of it that was before: that is only read again.
            items = self._read(self._engine.get, self._places)
            self._before = self._revisions(items)

    def settle(self, found: Read, beside: Sequence[Place], more: Callable[[Place], bool]) -> bool:
        """Lay over what was found whatever changed of it; False when it has to be read again: see `failure`."""
        asked: dict[Place, None] = dict.fromkeys(beside)
        for _ in range(ROUNDS):
            isolated = self._isolated(asked)
            if isolated is None:
                continue
            revisions = self._revisions(isolated)
            if self._session.monotonic() - self._began > READING_SECONDS:
                self.failure = Failure.SLOW
                return False
            if any(self._overflowed(place, revision) for place, revision in revisions.items()):
                self.failure = Failure.TOO_MANY
                if self._before is None:
                    self.wait = max(self._until_old(revision) for revision in revisions.values())
                return False
            listed = dict.fromkeys(self._listed(revisions))
            if [place for place in listed if more(place)]:  # each is shown
                self.failure = Failure.MORE
                return False
            listed = {place: None for place in listed if found.has(place)}
            if listed.keys() <= asked.keys():
                for place in asked:
                    found.lay_over(place, isolated.get(place))
                found.beside = {place: isolated[place] for place in beside if place in isolated}
                self._tidy(revisions)
                return True
            asked |= listed
        self.failure = Failure.BUSY
        return False

    def _tidy(self, read: Mapping[Place, Revision]) -> None:
        """Beside the answer."""
        revisions = self._session.revisions
        for place, revision in read.items():
            if is_level_revision(place[1]) and revisions.has_left(revision):
                self._session.aside(partial(revisions.tidy, self._session.committed, place))

    def _until_old(self, revision: Revision) -> float:
        young = (revision.many or 0.0) + YOUNG_SECONDS - self._session.now().timestamp()
        return min(young, YOUNG_SECONDS) + FIRST_PAUSE_SECONDS if young > 0 else 0.0

    def _overflowed(self, place: Place, revision: Revision) -> bool:
        if self._before is not None:
            return revision.many != self._before[place].many
        return revision.many is not None and revision.many > self._since

    def _listed(self, revisions: Mapping[Place, Revision]) -> Iterator[Place]:
        for place, revision in revisions.items():
            for name, move in revision.moves.items():
                if move.at > self._since if self._before is None else name not in self._before[place].moves:
                    yield from self._session.revisions.places(move)

    def _revisions(self, isolated: Mapping[Place, Item]) -> dict[Place, Revision]:
        return {place: self._session.revisions.learn(place, isolated.get(place)) for place in self._places}

    def _isolated(self, asked: Collection[Place]) -> dict[Place, Item] | None:
        """The revisions and what is asked for, as of one moment.

        In several calls where there is more than one table, or more keys than one call takes; None when a transaction
        came in between.
        """
        at_once = settles_at_once(self._engine)  # then any read of several keys is isolated
        isolated = partial(self._engine.get, consistent=True) if at_once else self._engine.get_isolated
        calls: list[list[Place]] = []
        for place in dict.fromkeys((*self._places, *asked)):
            if not calls or place[0] != calls[-1][0][0] or len(calls[-1]) == ISOLATED_AT_ONCE:
                calls.append([])
            calls[-1].append(place)
        found: dict[Place, Item] = {}
        for places in calls:
            found |= self._read(isolated, places)
        if len(calls) > 1 and self._places:
            again = self._read(isolated, self._places)
            if any(again.get(place) != found.get(place) for place in self._places):
                return None
        return found

    def _read(self, read: Callable[[str, list[Key]], Mapping[Key, Item]], places: Sequence[Place]) -> dict[Place, Item]:
        table = places[0][0]
        try:
            items = read(table, [key for _, key in places])
        except TableMissingError:  # that of the revisions: then the library never wrote
            return {}
        return {(table, key): item for key, item in items.items()}
