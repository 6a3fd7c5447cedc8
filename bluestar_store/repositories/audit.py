"""Audit trails: append-only, numbered, each entry chained to the one before it.

The head of a trail is an item of its own, written with every entry: an entry that is changed, removed, put in or moved
breaks the chain, and one that is cut off the end is missing from the head's count. Whoever may write both items and
knows how they are made can still make another chain: docs/iam.md has the policy that lets nobody change an entry.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bluestar_store.deprecation import renamed
from bluestar_store.errors import InvalidEntityError, ItemDecodeError
from bluestar_store.mapping.values import stored_time
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD, AuditEntry, ChainHead, Trail
from bluestar_store.models.batches import STEP_CLAIM, StepClaim
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.base import Reader, owned_without_lost
from bluestar_store.repositories.combining import Combiner
from bluestar_store.repositories.identifiers import check_known
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import HasSessions
from bluestar_store.repositories.steps import check_claim
from bluestar_store.repositories.stored_items import current_item
from bluestar_store.repositories.trail import (
    append_step,
    appended_item,
    decoded_entry,
    entry_hash,
    has_head,
    trail_items,
)
from bluestar_store.repositories.transaction import StagedWrites
from bluestar_store.repositories.work_conditions import require_open_batch

ENTRIES_AT_ONCE = 40
"""Of threads that append to one trail: a transaction takes 100 writes and 4 MB (AWS limits)."""


@dataclass(frozen=True)
class ChainFault:
    """What is wrong with a trail, and at which entry; the number is None for the trail as a whole."""

    seq: int | None
    what: str


@dataclass(frozen=True)
class TrailReport:
    """What a look at a whole trail found: how many entries there are, readable or not, and what is wrong, by number.

    A trail that there is not has no entries and no faults.
    """

    entries: int
    faults: tuple[ChainFault, ...]


class AuditRepository(Reader[AuditEntry]):
    """The audit trails. The library has no call that changes or deletes an entry."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, AUDIT_ENTRY)
        self._combiner = Combiner[AuditEntry](self._append_all, ENTRIES_AT_ONCE)

    def entries(self, trail: Trail | str, *, details: bool = True) -> tuple[AuditEntry, ...]:
        """The entries of a trail (a batch's, by its id) by number; empty when there is none.

        What other programs keep beside them by other keys (`AUDIT#2024-01-15`) is passed over, and so is a trail that
        an import has brought in half. Details whose key was dropped are None, and named by `entry.unreadable`. Raises
        EncryptedValueError for others that cannot be read; with `details=False` all entries come without theirs.
        """
        session = self._sessions.current()
        items = trail_items(session, self._partition(_trail(trail)))
        is_begun = has_head(items)
        if not details:
            items = [{name: value for name, value in item.items() if name != "details"} for item in items]
        return visible_entries(owned_without_lost(session, self._mapper, items), has_head=is_begun)

    def append(
        self,
        trail: Trail | str,
        *,
        action: str,
        actor: str | None = None,
        details: Mapping[str, Any] | None = None,
        claim: StepClaim | None = None,
    ) -> None:
        """Append an entry to a trail (a batch's, by its id). `actor` defaults to the setting's.

        It has its number and hash when it is committed. What several threads append to one trail at once is written
        together. With the `claim` of a worker it is this one's entry: ClaimLostError when the claim is over,
        InvalidTransitionError when the batch is; anybody else may append at any time. Raises InvalidEntityError, also
        for another batch's claim, InvalidKeyError.
        """
        session = self._sessions.current()
        by = session.acting_as(actor).actor
        if not action:
            raise InvalidEntityError("an entry needs an action: what was done")
        check_known(session, self._mapper, **dict(_trail(trail)))
        values = dict(_trail(trail)) | {"action": action, "actor": by, "details": details}
        entry = self._mapper.made(**values, seq=0, at=session.now())
        self._mapper.encode(entry)  # what cannot be written is told to whom it belongs, and not to those it goes with
        if claim is not None:
            self._append_of_worker(entry, claim)
        elif session.transaction is not None:
            session.run_step(partial(append_step, entry=entry))
        else:
            self._combiner.submit(self._partition(_trail(trail)), entry)

    def _append_of_worker(self, entry: AuditEntry, claim: StepClaim) -> None:
        if entry.batch_id != claim.batch_id:
            raise InvalidEntityError(f"a claim of batch {claim.batch_id!r} says nothing of another trail")

        def append(session: Session, staged: StagedWrites) -> None:
            check_claim(session, claim, staged, current_item(session, STEP_CLAIM, claim))
            require_open_batch(session, claim.batch_id, None, staged, claimed=True)
            append_step(session, staged, entry)

        with self._sessions.unit() as session:
            session.run_step(append)

    @contextmanager
    def bulk_entry(
        self, trail: Trail | str, *, action: str, details: Mapping[str, Any], actor: str | None = None
    ) -> Iterator[None]:
        """Append one entry, and none for each change within the block: around a bulk load.

        It is there before the first change: a load that is cut off half-way is not without a trace.
        """
        self.append(trail, action=action, actor=actor, details=details)
        with self._sessions.recorded_together():
            yield

    def one_for_all(
        self, trail: Trail | str, *, action: str, details: Mapping[str, Any], actor: str | None = None
    ) -> AbstractContextManager[None]:
        """The old name of `bulk_entry`."""
        warnings.warn("`one_for_all` is `bulk_entry` now", DeprecationWarning, stacklevel=3)
        return self.bulk_entry(trail, action=action, details=details, actor=actor)

    def _append_all(self, entries: Sequence[AuditEntry]) -> None:
        with self._sessions.unit() as session:
            for entry in entries:
                session.run_step(partial(append_step, entry=entry))

    def verify(self, trail: Trail | str) -> tuple[ChainFault, ...]:
        """What is wrong with a trail, by number; empty for one that is whole, and for one that there is not."""
        return self.report(trail).faults

    def report(self, trail: Trail | str) -> TrailReport:
        """What `verify` finds, and how many entries there are."""
        session = self._sessions.current()
        partition = self._partition(_trail(trail))
        return trail_report(trail_items(session, partition), session.table(self._mapper))

    def _partition(self, trail: Trail) -> str:
        return self._mapper.keys.partition(dict(trail))


def visible_entries(entries: tuple[AuditEntry, ...], *, has_head: bool) -> tuple[AuditEntry, ...]:
    """The entries but for those of a trail that an import has not done with: it writes head and first entry last."""
    if has_head or any(entry.seq == 1 for entry in entries):
        return entries
    return tuple(entry for entry in entries if entry.hash is None)


def trail_report(items: Iterable[Item], table: str) -> TrailReport:
    """The report on the trail in these items, which are all of one partition; others are passed over."""
    found = list(items)
    entries = [item for item in found if AUDIT_ENTRY.owns(item)]
    if not has_head(found) and not any(map(_is_first, entries)):  # as `seen` says
        found = [item for item in entries if "hash" not in item]
    return TrailReport(sum(map(AUDIT_ENTRY.owns, found)), chain_faults(found, table))


def chain_faults(items: Iterable[Item], table: str) -> tuple[ChainFault, ...]:
    """What is wrong with the trail in these items, which are all of one partition; others are passed over."""
    faults: list[ChainFault] = []
    entries: dict[int, AuditEntry] = {}
    rewritten: dict[int, list[str]] = {}
    head: ChainHead | None = None
    for item in sorted(items, key=lambda item: not _has_our_key(item)):  # of two with one number, the other was put in
        identity = AUDIT_ENTRY.keys.parse(key_of(item))
        seq = identity["seq"] if identity else None
        try:
            if CHAIN_HEAD.owns(item):
                head = CHAIN_HEAD.decode(item, table)
            elif seq in entries:
                faults.append(ChainFault(seq, f"there twice: SK={item['SK']['S']!r} was put in"))
            elif seq is not None:
                entry = decoded_entry(item, table)
                entries[seq], rewritten[seq] = entry, sorted(_rewritten(item, entry))
        except (ItemDecodeError, InvalidEntityError) as error:  # the latter: no append could have written it
            faults.append(ChainFault(seq, f"changed: {error}"))
    faults += _broken_links(entries, rewritten, {fault.seq for fault in faults})
    faults += _at_the_end(entries, head)
    return tuple(sorted(faults, key=lambda fault: (fault.seq is None, fault.seq or 0)))


def _rewritten(item: Item, entry: AuditEntry) -> Iterable[str]:
    """The attributes that are not as they were written: the hash is of what an entry says, however its item says it."""
    written = appended_item(entry)
    # A later release may spell the time as all others are spelled.
    spelled = written | ({"at": {"S": stored_time(entry.at)}} if entry.at is not None else {})
    covered = {"details", *entry.extra}
    names = {*item, *written} - covered
    return (name for name in names if item.get(name) not in (written.get(name), spelled.get(name)))


def _is_first(item: Item) -> bool:
    identity = AUDIT_ENTRY.keys.parse(key_of(item))
    return identity is not None and identity["seq"] == 1


def _has_our_key(item: Item) -> bool:
    key = key_of(item)
    identity = AUDIT_ENTRY.keys.parse(key)
    return identity is not None and AUDIT_ENTRY.keys.build(identity) == key


def _broken_links(
    entries: Mapping[int, AuditEntry], rewritten: Mapping[int, Sequence[str]], unreadable: set[int | None]
) -> Iterable[ChainFault]:
    if 0 in entries:
        yield ChainFault(0, "put in: the first entry has number 1")
    yield from _gaps({*entries, *(seq for seq in unreadable if seq is not None)})
    for seq in sorted(entries):
        entry = entries[seq]
        if not seq:
            continue
        if entry_hash(entry) != entry.hash:
            yield ChainFault(seq, "changed: its hash is not that of what it says")
            continue
        if rewritten[seq]:
            yield ChainFault(seq, f"changed: no append writes its {', '.join(rewritten[seq])} like this")
        before = entries.get(seq - 1)
        if before is None:
            if seq == 1 and entry.previous is not None:
                yield ChainFault(seq, "moved: it is the first and names one before it")
        elif entry.previous != before.hash and entry_hash(before) == before.hash:
            yield ChainFault(seq, f"put in or moved: it does not follow on entry {seq - 1}")


def _gaps(numbers: Iterable[int]) -> Iterable[ChainFault]:
    """One fault for each gap, however wide: anybody can put in an entry with a number far away."""
    last = 0
    for seq in sorted(numbers):
        if seq - last == 2:
            yield ChainFault(last + 1, "removed: there is no such entry")
        elif seq - last > 2:
            yield ChainFault(last + 1, f"removed: there are no entries {last + 1} to {seq - 1}")
        last = seq


def _at_the_end(entries: Mapping[int, AuditEntry], head: ChainHead | None) -> Iterable[ChainFault]:
    last = max(entries, default=0)
    if head is None or not head.seq:
        if entries:
            yield ChainFault(None, f"the chain's head was removed or reset: it does not know of {len(entries)} entries")
    elif last < head.seq:
        missing = f"{last + 1} to {head.seq}" if head.seq - last > 1 else str(head.seq)
        yield ChainFault(last + 1, f"cut off: the chain's head knows of {missing}")
    elif last > head.seq:
        yield ChainFault(head.seq + 1, f"put in: the chain's head knows of {head.seq} entries only")
    elif entries[last].hash != head.hash:
        yield ChainFault(last, "put in or changed: the chain's head knows another last entry")


def _trail(trail: Trail | str) -> Trail:
    return Trail(batch_id=trail) if isinstance(trail, str) else trail


__getattr__ = renamed(__name__, {"Audit": f"{__name__}:AuditRepository"})  # for one release
