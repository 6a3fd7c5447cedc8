"""The sessions of a Store: which unit of work is open in a context, and what a call made there goes through.

This is the only place that asks the context; `Session` says the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, Token
from typing import NoReturn, Protocol

from bluestar_store.forking import remember
from bluestar_store.protocols import Place, Write
from bluestar_store.repositories.session import Session, StoreParts
from bluestar_store.repositories.transaction import Transaction


class Sessions(StoreParts):
    """What repositories are made with."""

    def __init__(self, parts: StoreParts) -> None:
        vars(self).update(vars(parts))
        self.outside = Session(self)
        """Of calls that are no part of a unit of work."""
        self._open: ContextVar[Transaction | None] = ContextVar("bluestar_unit_of_work", default=None)
        self._records = ContextVar("bluestar_records_changes", default=self.records)
        self.peek, self.peek_first, self.peek_all = self._cache.peek, self._cache.peek_first, self._cache.peek_all
        """What is in the process; for who finds no unit open here. Asked before all else, so without a detour."""
        self.unit_here = self._open.get
        """The unit of work that is open in this context; None."""
        remember(self)

    def forked(self) -> None:
        """In a forked child: what was open where its parent forked is the parent's to end.

        Contexts that were copied before the fork keep what was open: there the Transaction refuses every call.
        """
        self._open.set(None)
        self._records.set(self.records)

    def current(self) -> Session:
        """What a call that is made here goes through: as a part of the unit of work that is open here, if one is."""
        transaction, records = self._open.get(), self._records.get()
        if transaction is None and records is self.records:
            return self.outside
        return Session(self, transaction, records=records)

    @contextmanager
    def unit(self, actor: str | None = None) -> Iterator[Session]:
        """A part of the unit of work that is open here, else of one of its own, committed when the block ends well.

        The commit raises what `Engine.write` raises. A block that raises, and a commit that fails, leave nothing.
        """
        if self._open.get() is not None:
            yield self.current().acting_as(actor)
            return
        transaction, _ = self.begin()
        try:
            yield self.current().acting_as(actor)
            self.commit(transaction)
        finally:
            self.end(transaction)

    def begin(self) -> tuple[Transaction, Token[Transaction | None]]:
        """Open a unit of work in this context, in which none is open; the token is for `is_begun_here`."""
        transaction = Transaction(self.committed, self.specs)
        return transaction, self._open.set(transaction)

    def is_begun_here(self, transaction: Transaction, token: Token[Transaction | None]) -> bool:
        """Whether `begin` was called in this very context, not in another or in one that this is a copy of."""
        try:
            self._open.reset(token)
        except ValueError:
            return False
        self._open.set(transaction)
        return True

    def end(self, transaction: Transaction) -> None:
        """Leave the unit of work that `begin` opened; one that nobody has begun to commit is dropped."""
        transaction.drop()
        if self._open.get() is transaction:
            self._open.set(None)

    def commit(self, transaction: Transaction) -> None:
        """Send it; in a context in which it is open."""
        transaction.commit(self._send)

    def _send(self, writes: Mapping[Place, Write]) -> None:
        located = self.revisions.located(writes)
        changed = [key for mapper, identity in located.values() if mapper.cached for key in mapper.cache_keys(identity)]
        with self._cache.writing(changed) if changed else nullcontext() as before_attempt:
            self.revisions.send(self.committed, writes, located, before_attempt)

    @contextmanager
    def recorded_together(self) -> Iterator[None]:
        """Around a bulk load, which leaves one entry for all."""
        token = self._records.set(False)
        try:
            yield
        finally:
            self._records.reset(token)

    def in_process(self) -> InProcessSessions:
        """The same for reads that may look into this process only."""
        return InProcessSessions(self)

    def close(self) -> None:
        """End the threads, the cache and the engine."""
        self.revisions.close()
        self._threads.close()
        self._cache.close()
        self.committed.close()


class HasSessions(Protocol):
    """What most repositories are made of: a Store, or another one that reads and writes items."""

    @property
    def sessions(self) -> Sessions:
        """What reads and writes go through: the first argument of `Reader` and `Repository`."""
        ...


class NotInProcessError(Exception):
    """A read needs more than what is in this process: ends it early. `last_refused` says that it was raised."""


class InProcessSessions(Sessions):
    """Of reads that find all they need by `peek`, `peek_first` and `peek_all`, or have no answer."""

    def __init__(self, sessions: Sessions) -> None:
        vars(self).update(vars(sessions))
        self.last_refused: NotInProcessError | None = None
        """Another one after a read that needed more, even if somebody caught it on its way to the caller."""

    def current(self) -> NoReturn:
        """Raises NotInProcessError: a session may wait for the engine, or for Redis."""
        raise self._refused()

    def begin(self) -> NoReturn:
        """Raises NotInProcessError."""
        raise self._refused()

    def _refused(self) -> NotInProcessError:
        # Its traceback would keep the reads' variables. Another thread's read may see it as its own: it waits in vain.
        self.last_refused = NotInProcessError()
        return NotInProcessError()
