"""The protocols that agents use for rules, batches, a cache and SQL. Any class with these methods will do.

An item is a dict of all its attributes by their names on disk, PK and SK among them; numbers are int, or float where
they are not whole. It belongs to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

PlainItem: TypeAlias = dict[str, Any]


@runtime_checkable
class IRulesStore(Protocol):
    """The rules, limits and configurations that a batch runs by.

    Every method raises InvalidKeyError for an identifier that cannot stand in a key, and other BlueStarErrors when the
    items cannot be read.
    """

    def get_client_config(self, plan_id: str, pay_freq: str) -> PlainItem:
        """The plan's own configuration; {} when it has none (there is no DEFAULT here)."""

    def get_validation_rules(self, category: str) -> list[PlainItem]:
        """The GLOBAL rules of a category, disabled ones too, by number; [] when there are none."""

    def get_calculation_rule(self, plan_id: str, calc_type: str) -> PlainItem:
        """The plan's own rule, else GLOBAL's. Raises RuleNotFoundError when neither has one."""

    def get_pipeline_steps(self, plan_id: str, pay_freq: str) -> list[PlainItem]:
        """The plan's own steps, disabled ones too, by stepOrder; [] when it has none (there is no DEFAULT here)."""

    def get_plan_holds(self, plan_id: str) -> list[PlainItem]:
        """The plan's holds by their ids, released ones too (they have a `released`); [] when there are none."""

    def get_irs_limits(self, year: int) -> PlainItem:
        """The limits of a year, in dollars; {} when there are none."""

    def get_ach_config(self, plan_id: str, pay_freq: str) -> PlainItem:
        """The plan's own bank details; {} when it has none."""

    def get_vendor_schema(self, vendor_id: str, plan_id: str, pay_freq: str) -> PlainItem:
        """The most specific schema: of plan and frequency, of the plan, of the vendor; {} when there is none.

        Where there is none in vendor-schema-mapping, the one at the old place: see docs/persistence.md.
        """


@runtime_checkable
class IBatchStore(Protocol):
    """What a running batch reads and leaves behind."""

    def get_pipeline(self, plan_id: str, pay_freq: str | None = None) -> list[PlainItem]:
        """The plan's own steps by stepOrder; without a frequency all of them, by frequency, then order."""

    def get_client_validation_rules(self, client_id: str, field: str) -> list[PlainItem]:
        """The rules of every category that apply to the field, the client's own laid over the GLOBAL ones."""

    def save_batch_state(self, batch_id: str, state: dict[str, Any]) -> None:
        """Keep the state of a batch, whatever is in it, in place of the one before."""

    def get_batch_state(self, batch_id: str) -> PlainItem:
        """The state of a batch as it was saved, without keys of the store's; {} when there is none."""

    def save_processing_result(self, batch_id: str, step: str, result: dict[str, Any]) -> None:
        """Store a step's result, in place of an earlier one; an equal result changes nothing."""

    def append_audit_entry(self, entry: dict[str, Any]) -> None:
        """Add an entry to the audit trail of its `batch_id`, with its `actor` and `action`, and the rest as details."""


@runtime_checkable
class ICacheBackend(Protocol):
    """Texts under keys, each for a time. The backends here raise CacheError, and nothing else, when they fail."""

    def get(self, key: str) -> str | None:
        """The text; None when there is none, or its time is over."""

    def setex(self, key: str, ttl: int, value: str) -> None:
        """Keep the text for `ttl` seconds, at least 1, in place of what is there."""

    def delete(self, key: str) -> None:
        """Forget the text; no error when there is none."""


@runtime_checkable
class ISQLClient(Protocol):
    """Statements of SQL as text, with `:name` where a parameter goes; parameters are bound, never put into the text."""

    def execute(self, statement: str, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None) -> int:
        """Carry out the statement, once for each mapping of a sequence, all or nothing; how many rows it affected.

        0 where there is no such number (CREATE TABLE); of a statement that gives rows, how many it gave.
        """

    def fetch_all(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows in the order the database gives them, as dicts by the names of the columns; [] for none."""

    def transaction(self) -> AbstractContextManager[ISQLClient]:
        """A block: what it executes is committed when it ends well, else rolled back.

        Without one, each call is a transaction of its own. In a block within a block, only the inner one is rolled
        back when it fails; what it did is committed with the outer one. A statement that failed has its block rolled
        back even where the error was caught within it.
        """
