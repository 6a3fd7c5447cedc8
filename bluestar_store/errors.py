"""Every error that bluestar-store raises.

BlueStarError
├── ConfigurationError      a setting, table or index is missing or not as expected; says what mends it
│   └── TableMissingError, IndexMissingError
├── InvalidKeyError         (also ValueError) an identifier that would make a wrong or ambiguous key, or a forged cursor
├── ItemDecodeError         an item on disk, in Redis or in a file that is not what its entity needs
│   └── EncryptedValueError         an attribute whose key is missing, wrong or dropped; the text names it
├── InvalidEntityError      (also ValueError) an entity handed to a write whose values its model refuses
├── NotFoundError           (also LookupError)
│   ├── RuleNotFoundError, PipelineNotFoundError, LimitsNotFoundError, ConfigNotFoundError
│   └── SchemaNotFoundError, BatchNotFoundError, HoldNotFoundError, PlanKeyNotFoundError
├── InheritedRuleError      a write of what a plan inherits; names the two ways to mean it
├── ConflictError           somebody else's write got in between
│   ├── AlreadyExistsError
│   ├── VersionConflictError        holds `expected` and `found`
│   ├── InvalidTransitionError      a batch is not in a status from which it may go there
│   ├── PlanOnHoldError             a batch cannot run: its plan has open holds; holds their `hold_ids`
│   ├── ClaimTakenError             another worker owns the step; holds its name and until when
│   ├── ClaimLostError              a worker's claim is over: another one took the step, or it was released
│   ├── ResultConflictError         a step has another result already
│   ├── ChangingError               what is read together keeps changing meanwhile
│   │   └── PipelineChangingError       a pipeline that is (or was left) half replaced
│   ├── PlanOutdatedError           a reviewed plan, and a store that has moved since
│   ├── ImportRefusedError          an export, and tables that it cannot lie in
│   └── TransactionConflictError
├── EngineError             the engine failed; the AWS code and request id are kept
│   ├── ThrottledError, UnavailableError, AccessDeniedError
│   ├── InvalidWriteError           a write that DynamoDB would refuse, refused before sending
│   ├── ItemTooLargeError           over 400 KB
│   ├── UnprocessedItemsError       a bulk write gave up; holds what was not written
│   └── SqlError                    a statement that SQLClient or its database refused; code is the SQLSTATE
│       └── SqlConstraintError          unique, foreign key, not null or check
├── CacheError              only from an explicit cache call; a cached read never raises it
├── FileStoreError          ── FileMissingError
└── SeedError               every problem of a rule set, or of test data, at once
    └── PlanRefusedError            a saved plan that is none, was altered, or is for another store or person
"""

# One file, though a long one: the tree above is read as a whole, and a class is little more than its docstring.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "BatchNotFoundError",
    "BlueStarError",
    "CacheError",
    "ChangingError",
    "ClaimLostError",
    "ClaimTakenError",
    "ConfigNotFoundError",
    "ConfigurationError",
    "ConflictError",
    "EncryptedValueError",
    "EngineError",
    "FileMissingError",
    "FileStoreError",
    "HoldNotFoundError",
    "ImportRefusedError",
    "IndexMissingError",
    "InheritedRuleError",
    "InvalidEntityError",
    "InvalidKeyError",
    "InvalidTransitionError",
    "InvalidWriteError",
    "ItemDecodeError",
    "ItemTooLargeError",
    "LimitsNotFoundError",
    "NotFoundError",
    "PipelineChangingError",
    "PipelineNotFoundError",
    "PlanKeyNotFoundError",
    "PlanOnHoldError",
    "PlanOutdatedError",
    "PlanRefusedError",
    "ResultConflictError",
    "RuleNotFoundError",
    "RuleSetProblem",
    "SchemaNotFoundError",
    "SeedError",
    "SqlConstraintError",
    "SqlError",
    "TableMissingError",
    "ThrottledError",
    "TransactionConflictError",
    "UnavailableError",
    "UnprocessedItemsError",
    "VersionConflictError",
]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error's text for a name that is nearly a known one; empty if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class BlueStarError(Exception):
    """The root of the errors that this library raises."""


class ConfigurationError(BlueStarError):
    """A setting, table or index is missing or not as expected; the text says what mends it."""

    may_pass = False
    """Whether it may pass by itself, as for credentials whose source does not answer: then the cache may serve what is
    past its time."""


class TableMissingError(ConfigurationError):
    """The table does not exist."""


class IndexMissingError(ConfigurationError):
    """The table lacks one of the library's indexes."""


class InvalidKeyError(BlueStarError, ValueError):
    """An identifier that would make a wrong or ambiguous key. Raised before anything is sent."""


class InvalidEntityError(BlueStarError, ValueError):
    """An entity whose values its model refuses, found when a write validated it again."""


class InheritedRuleError(BlueStarError):
    """A write of what a plan inherits, which would change it for every plan that does; nothing was written.

    `item` names what it is, `plan_id` the plan that it was read for.
    """

    def __init__(self, item: str, plan_id: str, ways: str) -> None:
        super().__init__(item, plan_id, ways)
        self.item, self.plan_id, self._ways = item, plan_id, ways

    def __str__(self) -> str:
        return (
            f"{self.item} is not plan {self.plan_id!r}'s own, which inherits it: this write would change it for every "
            f"plan; {self._ways}"
        )


class ItemDecodeError(BlueStarError):
    """A stored item cannot be decoded as its entity.

    `where` names the table (or the file and line), `pk` and `sk` the item's raw key, `attribute` what is wrong about
    it; the last three are None where the text is not even an item. The text of what was read from a table ends with the
    commands that mend it.
    """

    mending = ""
    """What mends the item, in words; empty where that is not known."""

    def __init__(
        self, where: str, reason: str, *, pk: str | None = None, sk: str | None = None, attribute: str | None = None
    ) -> None:
        super().__init__(where, reason)
        self.where, self.reason, self.pk, self.sk, self.attribute = where, reason, pk, sk, attribute

    def __str__(self) -> str:
        item = f" item PK={self.pk!r} SK={self.sk!r}:" if self.pk is not None else ""
        attribute = f" attribute {self.attribute!r}" if self.attribute is not None else ""
        return f"{self.where}:{item}{attribute} {self.reason}" + (f"; {self.mending}" if self.mending else "")


class EncryptedValueError(ItemDecodeError):
    """An attribute is encrypted and cannot be read here: its key is missing, is another one, or was dropped.

    Also for a ciphertext that was changed, or copied from elsewhere. The text says which key it needs; the item's other
    attributes, and other items, are as readable as ever. `is_lost`: the key was dropped, so that nobody can read it.
    """

    is_lost = False


class NotFoundError(BlueStarError, LookupError):
    """Nothing was found, neither of the plan nor of the level that it falls back to."""


class RuleNotFoundError(NotFoundError):
    """No calculation or validation rule, neither the plan's own nor GLOBAL's."""


class PipelineNotFoundError(NotFoundError):
    """Neither the plan nor DEFAULT has a pipeline for this pay frequency."""


class LimitsNotFoundError(NotFoundError):
    """No IRS limits for the year."""


class ConfigNotFoundError(NotFoundError):
    """No client or ACH configuration for the plan and pay frequency."""


class SchemaNotFoundError(NotFoundError):
    """No schema of the vendor fits."""


class BatchNotFoundError(NotFoundError):
    """No state of the batch."""


class PlanKeyNotFoundError(NotFoundError):
    """A plan has no key that its data could be encrypted with."""


class HoldNotFoundError(NotFoundError):
    """No such hold."""


class ConflictError(BlueStarError):
    """Another write came first. Nothing was written: read again and decide."""

    place: tuple[str, Any] | None = None
    """The table and key of the item that was not as expected; None where it is not one item."""


class AlreadyExistsError(ConflictError):
    """The item was expected to be absent and is there."""


class VersionConflictError(ConflictError):
    """The item is not at the expected version. `found` is None when it does not exist, 0 when it has no version.

    `attribute` names one that is not as it was read, where the version is the expected one: the item was deleted and
    made again, or changed by a program that counts no versions. `written_by` is who wrote it last, None where nobody
    knows.
    """

    def __init__(
        self,
        item: str,
        expected: int | None,
        found: int | None,
        attribute: str | None = None,
        written_by: str | None = None,
    ) -> None:
        super().__init__(item, expected, found, attribute, written_by)
        self.item, self.expected, self.found = item, expected, found
        self.attribute, self.written_by = attribute, written_by

    def __str__(self) -> str:
        expected = "any version" if self.expected is None else f"version {self.expected}"
        found = "it does not exist" if self.found is None else f"found version {self.found}"
        by = f", written by {self.written_by!r}" if self.written_by else ""
        if self.attribute is not None:
            found = f"found that version{by}, but its {self.attribute} is not as it was read"
        else:
            found += by
        return f"{self.item}: expected {expected}, {found}; read it again and repeat the change"


class InvalidTransitionError(ConflictError):
    """A batch cannot go from the status that it has to the one that was asked for; nothing was written."""


class PlanOnHoldError(ConflictError):
    """No step of a plan's batches begins while the plan has open holds; `hold_ids` names them, oldest first."""

    def __init__(self, plan_id: str, hold_ids: Sequence[str]) -> None:
        super().__init__(plan_id, tuple(hold_ids))
        self.plan_id, self.hold_ids = plan_id, tuple(hold_ids)

    def __str__(self) -> str:
        count = f"{len(self.hold_ids)} open hold{'s' if len(self.hold_ids) != 1 else ''}"
        return f"plan {self.plan_id!r} has {count}: {', '.join(self.hold_ids)}; release them first"


class ClaimTakenError(ConflictError):
    """Another worker owns the step: `worker`, until `expires` (UTC) unless it sends a heartbeat."""

    def __init__(self, step: str, worker: str, expires: datetime) -> None:
        super().__init__(step, worker, expires)
        self.step, self.worker, self.expires = step, worker, expires

    def __str__(self) -> str:
        return f"{self.step} is claimed by {self.worker!r} until {self.expires.isoformat()}"


class ClaimLostError(ConflictError):
    """A worker's claim is over: another one took the step, or it was released. Nothing was written."""


class ResultConflictError(ConflictError):
    """A step has another result already; the one that is there stays."""


class TransactionConflictError(ConflictError):
    """Other transactions kept touching the same items until the attempts were used up; nothing was written."""


class ChangingError(ConflictError):
    """Items that are read as of one moment were changed during each attempt to read them."""


class PipelineChangingError(ChangingError):
    """A pipeline's steps disagree about their revision, however often they are read."""


class PlanOutdatedError(ConflictError):
    """The store is not as it was when a plan was reviewed; `moved` holds the keys of the items that changed."""

    def __init__(self, moved: Sequence[str]) -> None:
        super().__init__(tuple(moved))
        self.moved = tuple(moved)

    def __str__(self) -> str:
        count = f"{len(self.moved)} item{'s' if len(self.moved) != 1 else ''}"
        return f"the store has moved since the plan was made; nothing was written. Changed: {count}: " + "; ".join(
            self.moved
        )


class EngineError(BlueStarError):
    """The engine failed. `code` is AWS's error code or a SQLSTATE ("" for none), `request_id` AWS's id of the call."""

    outcome_unknown = False
    """Whether a transaction may have been written although its answer is this error. Read before writing it again."""

    def __init__(self, message: str, *, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.code, self.request_id = code, request_id

    def __str__(self) -> str:
        details = ", ".join(filter(None, (self.code, self.request_id and f"request {self.request_id}")))
        return f"{self.args[0]} ({details})" if details else str(self.args[0])


class ThrottledError(EngineError):
    """DynamoDB refused for load until the retries were used up."""


class UnavailableError(EngineError):
    """The engine could not be reached, or not in time. `outcome_unknown` says whether a write may have been made."""


def may_pass(error: object) -> bool:
    """Whether an error may be temporary, so that a stale value may be served instead."""
    if isinstance(error, ConfigurationError):
        return error.may_pass
    return isinstance(error, ThrottledError | UnavailableError)


class AccessDeniedError(EngineError):
    """The credentials do not allow the call."""


class InvalidWriteError(EngineError):
    """DynamoDB would refuse this write: too many in one transaction, one item twice, a value it cannot hold."""


class ItemTooLargeError(EngineError):
    """The item is, or would become, larger than 400 KB (an AWS limit: 400 * 1024 bytes, names and values)."""


class UnprocessedItemsError(EngineError):
    """A bulk write gave up; `unwritten` are the items that were not written."""

    def __init__(
        self, message: str, unwritten: Iterable[Mapping[str, Any]] = (), unsent: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """`unsent`: what the caller's iterable still holds."""
        super().__init__(message)
        self._unwritten, self._unsent = list(unwritten), iter(unsent)

    @property
    def unwritten(self) -> tuple[Mapping[str, Any], ...]:
        """All items that are not known to be written, in the order they were given.

        Those that were not sent yet are taken from the caller's iterable when this is read first, for there may be
        a million of them; what it reads from has to be open still.
        """
        self._unwritten.extend(self._unsent)  # keeps what came when the iterable breaks
        return tuple(self._unwritten)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.unwritten)


class SqlError(EngineError):
    """A statement that SQLClient or its database refused. `code` is the SQLSTATE, or SQLite's name of the error."""


class SqlConstraintError(SqlError):
    """A statement would have broken a constraint: unique, foreign key, not null or check."""


class CacheError(BlueStarError):
    """An explicit cache call failed. A cached read never raises it."""


class FileStoreError(BlueStarError):
    """A file store failed."""


class FileMissingError(FileStoreError):
    """The file is not there."""


@dataclass(frozen=True)
class RuleSetProblem:
    """One mistake in a rule set, or in test data: the file, a JSON pointer into it (RFC 6901) and what is wrong."""

    file: str
    pointer: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{'#' + self.pointer if self.pointer else ''}: {self.reason}"


class ImportRefusedError(ConflictError):
    """Items of an export cannot lie in the target; nothing was written. `lines` says which, and what to do."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(tuple(lines))
        self.lines = tuple(lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class SeedError(BlueStarError):
    """A rule set, or other data to begin with, that cannot be loaded; `problems` holds every mistake in it.

    Nothing was written.
    """

    def __init__(self, problems: Sequence[RuleSetProblem], *, what: str = "the rule set") -> None:
        super().__init__(tuple(problems))
        self.problems, self.what = tuple(problems), what

    @property
    def lines(self) -> tuple[str, ...]:
        """How many problems there are, and each of them."""
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        return (f"{self.what} has {count}; nothing was written:", *(f"  {problem}" for problem in self.problems))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class PlanRefusedError(SeedError):
    """A saved plan that is not applied: it is none, was altered, or is for another store, or for another person.

    Nothing was written.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """One line, which says why."""
        return tuple(f"{problem}; nothing was written" for problem in self.problems)
