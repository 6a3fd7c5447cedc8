"""Parses formulas: arithmetic over known names. They are never evaluated."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection

from bluestar_store.checks.meaning import Level
from bluestar_store.checks.words import MEANT, is_near
from bluestar_store.errors import did_you_mean
from bluestar_store.keys import shown

MAX_CHARACTERS = 2000
MAX_NUMBER = 10**38
MAX_EXPONENT, MAX_NAMED = 5000, 100
"""Of a power, with names in it taken for so much: years, ages, percentages. Beyond that an agent computes for hours."""
MAX_LEVELS = 150
VARIABLES = (
    *("compensation", "compensation_ytd", "match_on_year", "match_ytd", "years_of_service", "employer_balance"),
    *("ee_deferral", "ee_deferral_pct", "ee_deferral_ytd", "ee_deferral_over_limit", "er_contrib_pct", "catch_up_ytd"),
    *("gross_comp", "ytd_comp", "hours_worked", "deferral_pct", "deferral_amount", "roth_amount", "loan_payment"),
    *("age", "max_pct", "age_threshold"),
)
"""What agents give a value to: of the participant and the pay period, and of the rule itself."""
FUNCTIONS = ("abs", "max", "min", "round", "vested_pct")

_TOO_DEEP = "is no formula: it is nested too deeply, or too long"
_CHARACTERS = re.compile(r"[A-Za-z0-9_\s.,+\-*/%()<>=!]*")
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Load, ast.boolop),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.UAdd, ast.USub, ast.Not),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


def fault(formula: str, words: Collection[str] = (), limits: Collection[str] = ()) -> tuple[Level, str] | None:
    """What is wrong with a formula; None for one that agents understand.

    `words` are names known besides, `limits` those that may be named as `limits.NAME`.
    """
    if len(formula) > MAX_CHARACTERS:
        return Level.WRONG, f"is no formula: over {MAX_CHARACTERS} characters"
    if not formula.strip():
        return Level.WRONG, "is no formula: it is empty"
    if not _CHARACTERS.fullmatch(formula):
        strange = next(char for char in formula if not _CHARACTERS.fullmatch(char))
        return Level.WRONG, f"is no formula: {shown(strange)} has no place in arithmetic"
    try:
        tree = ast.parse(" ".join(formula.split()), mode="eval")
        return _fault(tree, words, limits) if _levels(tree) <= MAX_LEVELS else (Level.WRONG, _TOO_DEEP)
    except SyntaxError as error:
        return Level.WRONG, f"is no formula: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        return Level.WRONG, f"{_TOO_DEEP}, or has a number without end"


def _fault(tree: ast.Expression, words: Collection[str], limits: Collection[str]) -> tuple[Level, str] | None:
    """The first fault: something other than arithmetic, before names that are not known."""
    known = {*VARIABLES, *words}
    names: list[tuple[str, Collection[str], str]] = []
    heads: set[ast.AST] = set()
    for node in ast.walk(tree):  # from the outside: a head comes after what it is the head of
        match node:
            case ast.Call(func=ast.Name(id=name) as head, keywords=[]):
                heads.add(head)
                names.append((name, {*FUNCTIONS, *words}, "function"))
            case ast.Attribute(value=ast.Name(id="limits") as head, attr=name):
                heads.add(head)
                names.append((name, {*limits, *words}, "limit"))
            case ast.Name(id=name):
                if node not in heads:
                    names.append((name, known, "name"))
            case ast.Constant(value=bool() | int() | float() as number):
                if not -MAX_NUMBER < number < MAX_NUMBER:
                    return Level.WRONG, "is no formula: it has a number without end"
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent):
                if any(isinstance(inner, ast.Pow) for side in (base, exponent) for inner in ast.walk(side)):
                    return Level.WRONG, "is no formula: it has a power in a power, which nobody can compute"
                if not _largest(exponent) <= MAX_EXPONENT:
                    return Level.WRONG, f"is no formula: it has a power with an exponent over {MAX_EXPONENT}"
            case ast.Call() | ast.keyword() | ast.Starred():
                return Level.WRONG, "is no formula: it calls something else than a function, with values in order"
            case _ if not isinstance(node, _NODES):
                return Level.WRONG, f"is no formula: {type(node).__name__} has no place in arithmetic"
    return _unknown(names)


def _levels(tree: ast.AST) -> int:
    """How deep it is nested. A long sum counts as deep, because evaluating it recurses as often."""
    levels, found = 0, [tree]
    while found:
        found = [inner for node in found for inner in ast.iter_child_nodes(node)]
        levels += 1
    return levels


def _largest(node: ast.AST) -> float:
    """How large a value can become, sign apart; infinite or no number where that is not bounded."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return abs(float(number))
        case ast.Name() | ast.Attribute():
            return MAX_NAMED
        case ast.BinOp(op=ast.Div() | ast.FloorDiv(), left=left, right=ast.Constant(value=int() | float() as number)):
            return _largest(left) / abs(float(number)) if number else math.inf
        case ast.BinOp(op=ast.Mult() | ast.Div() | ast.FloorDiv(), left=left, right=right):
            return _largest(left) * _largest(right)
    return sum(map(_largest, ast.iter_child_nodes(node)))


def _unknown(names: list[tuple[str, Collection[str], str]]) -> tuple[Level, str] | None:
    """The name that is nearly a known one, else the first that is not known."""
    strange = [(name, known, what) for name, known, what in names if name not in known]
    for name, known, what in strange:
        if near := next((word for word in sorted(known) if is_near(name, word)), None):
            return Level.WRONG, f"uses {shown(name)}, which is no known {what}; did you mean {near}? {MEANT}"
    for name, known, what in strange:
        return Level.UNKNOWN, f"uses {shown(name)}, which is no known {what}{did_you_mean(name, known)} {MEANT}"
    return None
