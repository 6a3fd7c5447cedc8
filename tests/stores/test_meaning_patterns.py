"""Formulas and patterns: which are none, which agents may hang at, and how soon that is known."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestar_store import SeedError, Store, seeding
from bluestar_store.checks.formulas import MAX_CHARACTERS, fault
from bluestar_store.checks.meaning import ALL, Level
from bluestar_store.checks.patterns import may_hang
from bluestar_store.models.limits import LIMIT_NAMES
from tests.machine import seconds
from tests.stores.meaning import check, store, write_rule_set

__all__ = ["store"]  # fixtures


@pytest.mark.parametrize(
    "formula",
    [
        "",
        " ",
        "a +",
        "(" * 1500,
        "-" * MAX_CHARACTERS,
        "-" * (MAX_CHARACTERS - 1) + "x" * 2,
        "9" * 1000,
        "9e999",
        "__import__('os')",
        "os.system(1)",
        "compensation.real",
        "limits.max_401k.real",
        "(lambda: 1)()",
        "[1]",
        "max(*compensation)",
        "max(key=1)",
        "max(1)(2)",
        "a := 1",
        "1j",
        "compensation, age",
        "compensation; age",
        "compensation\x00",
        "compensati\u03bfn",
        "6 % of compensation",
        "f'{age}'",
        "9**9**9",
        "10**10**8",
        "(10**99)**99",
        "9**(99*99*99)",
        "9**(1/0.00001)",
        "9**(1/0)",
        "9**1e30",
        "compensation ** (age ** 2)",
        "(" * 300 + "1" + ")" * 300,
        "+".join("1" * 1000),
        "1" + "**2" * 600,
    ],
)
def test_what_is_no_arithmetic_is_no_formula(formula: str) -> None:
    found = fault(formula)
    assert found is not None
    assert found[0] is Level.WRONG
    assert len(found[1]) < 200


@pytest.mark.parametrize(
    "formula",
    [
        "0",
        "1_000 * age",
        "compensation\n  * max_pct / 100",
        "-compensation ** 2 // 3 % 4",
        "compensation * (1 + max_pct / 100) ** (12 * years_of_service)",
        "(1 + 0.05) ** (1 / 12)",
        "+".join("1" * 100),
        "max(0, min(compensation, limits.comp_limit - compensation_ytd))",
        "ee_deferral if age >= age_threshold and not hours_worked < 1000 else 0",
        "vested_pct(years_of_service) * round(employer_balance, 2)",
    ],
)
def test_arithmetic_over_known_names_is_a_formula(formula: str) -> None:
    assert fault(formula, limits=LIMIT_NAMES) is None


STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD"
    "|TN|TX|UT|VT|VA|WA|WV|WI|WY"
)


HANGING = (  # each was seen to take seconds, and more with each character, for 30 to 400 characters that match nearly
    *(r"(a+)+$", r"(a*)*", r"^(\w+\s?)*$", r"(a|aa)+$", r"(x+x+)+y", r"(\d{1,3},?)+$", r"(.*)*x", r"(a|b+)+"),
    *(r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(?i)^([A-Z][a-z]+ ?)+$", r"(?:a{1,2}){1,500}$", "(" * 80 + "a+" + ")+" * 80),
    *(r"^(.|\s)*x$", r"(\S|.)+x", r"^(?:.|[ ,])+;$", r"(a|a)*$", r"^(Mr|Mr|Mrs)*x", r"^(\d\d|\d{2})*x"),
    *(r"^(a?){30}a{30}$", r"(?:\d?){30}x", r"^(\w{1,10}\s?){1,10}$", r"^((ab)+)+$", r"^(\s*[A-Z]\s*)+$", r"^(é+)+$"),
    *(r"^(a+(?!x))+$", r"^((?!b)a+)+$", r"^((a)\2*)+$", r"^(a+|" + "|".join(f"b{n:02}" for n in range(30)) + ")+$"),
    *(r"^(\d{5}|\d{6})+$", r"\w*\w*\w*\w*\w*x", r"(?=(a+)+$)b", r"(?:(?:a?)?b)+c", r"(ab)*(ab)*(ab)*(ab)*(ab)*x"),
)


ENDING = (
    *(r"^\d{3}-\d{2}-\d{4}$", r"^([A-Z][a-z]+ ?)+$", r"^(\d{1,3}\.){3}\d{1,3}$", r"^(\w+,)*\w+$", r"(\b\w+\b)*"),
    *(r"^\$?\d{1,3}(,\d{3})*(\.\d{2})?$", r"^(Jr|Sr|II|III|IV)\.?$", r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", r"(?>a+)+"),
    *(r"^[A-Z][a-z]+(?: [A-Z][a-z]+)*$", r"^(\d+,)*\d+$", r"^[\w.+-]+@[\w-]+\.[\w.-]+$", r"^(?:ACTIVE|TERM|LEAVE)$"),
    *(r"^(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])/\d{4}$", r"^\s*\S+(\s+\S+)*\s*$", r"^(?!000|666)\d{3}$", r"(a++)+$"),
    *(r"^(?!(\d)\1{8}$)\d{9}$", r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{8,}$", r"^(['\"]).*?\1$", r"^.*foo.*bar.*$"),
    *(r'^(?:(?:^|,)(?:"(?:[^"]|"")*"|[^,"]*))*$', r"^[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}$", r"^(?:\d{5}-?)+$"),
    *(r"^\+?1?[ .-]?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}$", r"(?i)^(?:yes|no|y|n)$", r"^(\w|\s|\d)+$", r"(?i)(a|A)+$"),
    *(r"^https?://[\w.-]+(?::\d+)?(?:/[^\s?#]*)?(?:\?[^\s#]*)?(?:#\S*)?$", r"^(\s*,\s*\w)+$", r"^(?:[^,]|,(?!,))*$"),
    *(r"^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$", rf"^(?:(?:{STATES})[ ,]?)+$"),
)


LARGE = (
    *("(a?)" * 450, "(" + "a?" * 900 + "b)+", "(" + "(" * 5 + "a?" + "){9}" * 5 + "b)+", r"(?:\w+\s)*" * 190),
    *("|".join(rf"\w+{n}" for n in range(300)), "".join(map(chr, range(0x4E00, 0x4E00 + 2000))), "a{1,64}" * 280),
    *("(" * 300 + "a" + ")" * 300, "(?:" + "|".join(f"{n:04}" for n in range(0, 2700, 7)) + ")+", r"[\w-]*" * 300),
    *(r"(?:a\d+)*(?:b\d+)*(?:c\d+)*" * 66, "".join(f"[{chr(n)}-{chr(n + 256)}]" for n in range(1024, 1414))),
    *("(?:" + "a?" * 140 + ")*", "(?:" + "|".join(f"{chr(n)}x" for n in range(0x4E00, 0x4E00 + 140)) + ")*"),
)


@pytest.mark.parametrize("pattern", HANGING, ids=lambda text: text[:20])
def test_a_pattern_that_agents_may_hang_at_is_refused_in_rule_sets(store: Store, tmp_path: Path, pattern: str) -> None:
    entity = check(pattern=pattern)
    with pytest.raises(SeedError, match="pattern: may take for ever"):
        seeding.read(write_rule_set(store, tmp_path, entity))
    store.validation_rules.put(entity)  # an application knows what it reads with it


@pytest.mark.parametrize("pattern", ENDING, ids=lambda text: text[:20])
def test_a_pattern_that_ends_is_none_of_those(pattern: str) -> None:
    assert not list(ALL.findings(check(pattern=pattern)))


@pytest.mark.parametrize("pattern", LARGE, ids=lambda text: text[:20])
def test_whether_agents_may_hang_is_known_within_a_second(pattern: str) -> None:
    began = time.thread_time()
    list(ALL.findings(check(pattern=pattern[:2000])))
    assert time.thread_time() - began < seconds(1)


PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", ".", "a?", "b*", "a+", r"\b", "(?!a)"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+?", "?", "{2}", "{1,3}"])).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=6,
)


@given(PIECES)
def test_what_is_repeated_twice_over_may_hang_whatever_is_beside_it(piece: str) -> None:
    assert may_hang(f"(?:{piece}(?:x+)+)+y")
    assert may_hang(f"(?:{piece})?(?:x|xx)*y")
