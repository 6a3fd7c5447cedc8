"""The checks that fields of entities are declared with: see `meaning`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from bluestar_store.checks.meaning import Checks, FieldCheck, FieldFinding, Level, declared
from bluestar_store.checks.words import MEANT, is_near
from bluestar_store.deprecation import renamed
from bluestar_store.errors import did_you_mean
from bluestar_store.keys import shown, unseen
from bluestar_store.mapping.entity import Entity

SEVERITIES = ("ERROR", "WARNING", "INFO")
AGENTS = ("IDP", "VALIDATOR", "CALCULATOR", "FUNDING", "REPORTER")
FREQUENCIES = ("Weekly", "BiWeeklyFri", "SemiMonthly", "Monthly")
CATEGORIES = ("SSN", "NAME", "COMP", "DATE", "DEFERRAL", "BANK", "LOAN", "CENSUS")
FIELDS = (
    *("ssn", "employee_id", "first_name", "last_name", "name_suffix", "birth_date", "hire_date", "termination_date"),
    *("employment_status", "division", "site_code", "pay_date", "hours_worked", "gross_comp", "ytd_comp"),
    *("deferral_pct", "deferral_amount", "roth_amount", "loan_id", "loan_payment"),
    *("account_number", "account_type", "routing_number"),
)
"""The columns of a payroll file, by the names that validation rules know them by."""
MAX_PATTERN_CHARACTERS = 2000


@dataclass(frozen=True, eq=False, repr=False)
class RoutingNumber(FieldCheck):
    """An ABA routing number: nine digits, 3 7 1 times which are a multiple of ten."""

    name: str = "routing_number"

    def look(self, value: str, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        if re.fullmatch("[0-9]{9}", value):
            total = sum(factor * int(digit) for factor, digit in zip((3, 7, 1) * 3, value, strict=True))
            if total % 10 == 0 and total > 0:
                return None
            return Level.WRONG, "has a check digit that is wrong (ABA)"
        return Level.WRONG, "is no routing number: nine digits, the last of them a check digit (ABA)"


@dataclass(frozen=True, eq=False, repr=False)
class Bounds(FieldCheck):
    """A number from `low` to `high`. With `odd`, others are refused only in rule sets and at a terminal."""

    low: int
    high: int
    unit: str = ""
    name: str = "percentage"
    odd: bool = True

    def look(self, value: Any, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        if self.low <= value <= self.high:
            return None
        return Level.UNKNOWN if self.odd else Level.WRONG, f"is not from {self.low} to {self.high}{self.unit}"


@dataclass(frozen=True, eq=False, repr=False)
class Word(FieldCheck):
    """One of the words that are `known`. Unless it is a `closed` list, another word is taken for a new one.

    But not one that is nearly known: a letter more, less or wrong. `any_case`: other programs spell it as they like.
    """

    name: str
    known: tuple[str, ...]
    closed: bool = False
    any_case: bool = False

    def look(self, value: str, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        known = (*self.known, *sorted(checks.words))
        if value in known or (self.any_case and value.upper() in map(str.upper, known)):
            return None
        what = f"{shown(value)} is no known {self.name}"
        if self.closed:
            hint = did_you_mean(value.upper(), self.known) or f"; expected {', '.join(self.known)}"
            return Level.WRONG, f"{what}{hint} {MEANT}"
        if near := next((word for word in known if is_near(value, word)), None):
            return Level.WRONG, f"{what}; did you mean {near}? {MEANT}"
        return Level.NEW, f"{shown(value)} is a new {self.name}: known are {', '.join(known[:20])}"


@dataclass(frozen=True, eq=False, repr=False)
class Formula(FieldCheck):
    """A formula that can be parsed and names only what is known; nothing evaluates it here."""

    name: str = "formula"
    limits: tuple[str, ...] = ()
    """What a formula may name as `limits.NAME`."""

    def look(self, value: str, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        from bluestar_store.checks.formulas import fault

        return fault(value, checks.words, self.limits)


@dataclass(frozen=True, eq=False, repr=False)
class Pattern(FieldCheck):
    """A regular expression that compiles: one that does not would fail in every agent."""

    name: str = "pattern"

    def look(self, value: str, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        if len(value) > MAX_PATTERN_CHARACTERS:  # before it is compiled, which takes seconds for a long one
            return Level.WRONG, f"is no regular expression: over {MAX_PATTERN_CHARACTERS} characters"
        try:
            re.compile(value)
            from bluestar_store.checks.patterns import may_hang

            if may_hang(value):
                return Level.UNKNOWN, "may take for ever: there are too many ways to read one text by it, as by (a+)+"
        except (re.error, RecursionError, OverflowError, MemoryError) as error:
            return Level.WRONG, f"is no regular expression: {error}"
        return None


@dataclass(frozen=True, eq=False, repr=False)
class Visible(FieldCheck):
    """A name of a person, a bank or a program in which every character can be seen; else two of them look alike."""

    name: str = "visible"

    def look(self, value: str, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        reason = unseen(value)
        return None if reason is None else (Level.WRONG, reason)


@dataclass(frozen=True, eq=False, repr=False)
class Mapping(FieldCheck):
    """From columns that are there, each once, to fields that are not nearly known ones.

    What only a fingerprint takes for a column, " gross  PAY" for "Gross Pay", is left to applications: those that look
    columns up as they are spelled do not find it.
    """

    name: str = "mapping"
    beside: ClassVar[tuple[str, ...]] = ("columns",)

    def look(self, value: Any, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        columns: tuple[str, ...] = getattr(entity, "columns", ())
        if not columns and value:
            return Level.NEW, "is of columns that the schema does not list"
        there = {_loosely(column): column for column in columns}
        strange = [column for column in value if _loosely(column) not in there]
        if strange:
            more = f" (nor are {len(strange) - 1} others)" if len(strange) > 1 else ""
            return (
                Level.WRONG,
                f"is of {shown(strange[0])}, which is no column{more}{did_you_mean(strange[0], columns)}",
            )
        named: dict[str, str] = {}
        for column, target in value.items():
            first = named.setdefault(_loosely(column), column)
            if first != column and not {first, column} <= set(columns):
                return Level.WRONG, f"is of {shown(first)} and of {shown(column)}, which are one column"
            if not target.strip():
                return Level.WRONG, f"leads from {shown(column)} to no field"
            found = Word("field", FIELDS).look(target, entity, checks)
            if found is not None and found[0] is Level.WRONG:
                return found
        if other := next((column for column in value if column not in columns), None):
            return Level.UNKNOWN, f"is of {shown(other)}; the column is {shown(there[_loosely(other)])}"
        return None


@dataclass(frozen=True, eq=False, repr=False)
class NeverLess(FieldCheck):
    """A figure that is not below the year before's. It needs two years, so `decreased_figures` compares them."""

    name: str = "limits"

    def look(self, value: Any, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        return None


ROUTING_NUMBER, PERCENTAGE, PATTERN = RoutingNumber(), Bounds(0, 100, " %", odd=False), Pattern()
AMOUNT = Bounds(0, 10_000_000, " dollars", "amount")
"""A limit of the IRS: the highest of them, on compensation, is a thirtieth of that in 2026."""
YEAR = Bounds(1974, 2100, "", "year")
"""ERISA is of 1974."""
NUMBER = Bounds(0, 999_999, "", "number")
"""The number of a rule or of a step."""
AGE, TIMEOUT = Bounds(0, 120, " years", "age"), Bounds(0, 31 * 86_400, " seconds", "timeout")
SEVERITY = Word("severity", SEVERITIES, closed=True, any_case=True)
AGENT = Word("agent", AGENTS, any_case=True)
FREQUENCY = Word("frequency", FREQUENCIES)
CATEGORY = Word("category", CATEGORIES)
MAPPING, NEVER_LESS, VISIBLE = Mapping(), NeverLess(), Visible()

NAMES = tuple(
    check.name
    for check in (
        ROUTING_NUMBER,
        PERCENTAGE,
        AMOUNT,
        YEAR,
        NUMBER,
        AGE,
        TIMEOUT,
        Formula,
        PATTERN,
        SEVERITY,
        AGENT,
        FREQUENCY,
        CATEGORY,
        MAPPING,
        NEVER_LESS,
        VISIBLE,
    )
)
"""What `checks_off` may name."""

__getattr__ = renamed(__name__, {"FORMULA": "bluestar_store.models.calculation:FORMULA"})


def decreased_figures(entity: Entity, before: Entity, checks: Checks) -> Iterator[FieldFinding]:
    """The figures that are less than those of the year before."""
    for field, now, then in _figures(entity, before, checks):
        if now is not None and then is not None and now < then:
            yield FieldFinding(
                field, NEVER_LESS.name, Level.DOUBTFUL, f"is {now}, less than the {then} of the year before"
            )


def removed_figures(entity: Entity, stored: Entity, checks: Checks) -> Iterator[FieldFinding]:
    """The figures that the stored entity has and the new one has not."""
    for field, now, then in _figures(entity, stored, checks):
        if now is None and then is not None:
            yield FieldFinding(field, NEVER_LESS.name, Level.DOUBTFUL, f"is taken away; it was {then}")


def _figures(entity: Entity, other: Entity, checks: Checks) -> Iterator[tuple[str, Any, Any]]:
    """Each figure that is checked, of both."""
    for field, check in declared(type(entity)):
        if isinstance(check, NeverLess) and check.name not in checks.off:
            yield field, getattr(entity, field), getattr(other, field)


def _loosely(column: str) -> str:
    return " ".join(column.split()).casefold()
