"""What is never shown whole: by its type, by its name, or by what its digits are.

Names are compared by word parts, so that `employee_ssn`, `acctNumber` and `Account No` are found and `discard` is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

DEFAULT_NAMES = (
    "aba",
    "account",
    "acct",
    "birth date",
    "birthday",
    "card",
    "cvv",
    "date of birth",
    "dob",
    "iban",
    "itin",
    "passport",
    "pan",
    "routing",
    "rtn",
    "social security",
    "ssn",
    "tax id",
    "taxid",
    "taxpayer id",
    "tin",
)
"""Words of names whose values are masked, unless the setting `masked_names` says otherwise."""

_WORDS = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_BEFORE = (
    "aba|ach|bank|benefit|beneficiary|checking|credit|debit|deposit|direct|employee|ee|emp|from|member|participant"
    "|payee|savings|to"
)
_BEHIND = "code|id|nbr|no|nr|num|number"
"""What names put before and behind these words without a border: `bankaccount`, `acctno`."""

_RUN = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?:"
    r"[0-9]{9}|[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{5}|[0-9]{3}-[0-9]{2}-[0-9]{4})(?![0-9])"
)
_TOKEN = re.compile(r"[0-9A-Za-z]{24,}")
"""Digests and ids of random letters and digits: what passes a check in them does so by chance."""


class MaskedText(str):
    """Text that every repr shows masked: a bank account number, an SSN. Else it is text like any other."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(str(self)))

    def __deepcopy__(self, memo: object) -> MaskedText:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


if TYPE_CHECKING:
    SensitiveText: TypeAlias = str
    """Declares a field of an entity that holds MaskedText: `tax_id: SensitiveText | None = None`. Give it any text."""
else:
    SensitiveText = MaskedText


@lru_cache(1024)
def sensitive_fields(entity: type[BaseModel]) -> frozenset[str]:
    """The fields that are declared with MaskedText, alone or as a part of their type."""
    return frozenset(name for name, field in entity.model_fields.items() if _mentions(field.annotation))


def _mentions(annotation: Any) -> bool:
    return annotation is MaskedText or any(map(_mentions, get_args(annotation)))


def masked(secret: str | None) -> str | None:
    """A secret as it may be shown: its last four characters at most, never more than half of it."""
    if secret is None:
        return None
    visible = min(4, len(secret) // 2)
    return "*" * (len(secret) - visible) + secret[len(secret) - visible :]


class _Names:
    """The names of all Stores of this process: a repr does not know which Store its value belongs to."""

    def __init__(self) -> None:
        self._used: frozenset[str] = frozenset()

    def use(self, names: Iterable[str]) -> None:
        """Mask these from now on, too; the defaults count until the first call."""
        wanted = frozenset(names)
        if not wanted <= self._used:
            self._used |= wanted
            is_secret_name.cache_clear()

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds them in a name that is spelled as its words, with spaces between."""
        names = self._used or DEFAULT_NAMES
        words = "|".join(sorted((r"\s?".join(map(re.escape, words_of(name))) for name in names), key=len, reverse=True))
        return re.compile(rf"(?<!\S)(?:{_BEFORE})?(?:{words})s?(?:(?:{_BEHIND})s?)?(?!\S)")


NAMES = _Names()


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return [word.lower() for word in _WORDS.findall(name)]


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Whether what has this name is never shown whole."""
    return NAMES.pattern.search(" ".join(words_of(name))) is not None


def is_identifier(name: str) -> bool:
    """Whether what has this name tells items apart: it is shown as it is, else nobody could ask for them."""
    return name == "partition" or (name.endswith("_id") and name != "bank_id" and not is_secret_name(name))


def has_digit(value: Any) -> bool:
    """Whether there is a digit in it: every account number has one."""
    return any(map(str.isdigit, str(value)))


def masked_digits(text: str) -> str:
    """Free text as it may be shown: bank routing numbers, card numbers and SSNs in it masked.

    They are known by their check digits (ABA, Luhn) or, an SSN, by its form; one in ten random numbers passes, so what
    is stored is never changed like this.
    """
    if len(text) < 9:
        return text
    tokens = [found.span() for found in _TOKEN.finditer(text)]

    def shown(found: re.Match[str]) -> str:
        begin, end = found.span()
        if any(start <= begin and end <= stop for start, stop in tokens) or not _passes(found[0]):
            return found[0]
        return masked(found[0]) or ""

    return _RUN.sub(shown, text)


def _passes(run: str) -> bool:
    digits = [int(char) for char in run if char.isdigit()]
    if len(digits) == 9:
        if "-" in run:
            return digits[:3] != [0, 0, 0]
        weights = (3, 7, 1) * 3
        return any(digits) and sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 10 == 0
    luhn = sum(digits[-1::-2]) + sum(2 * digit - 9 * (digit > 4) for digit in digits[-2::-2])
    return digits[0] in (2, 3, 4, 5, 6) and luhn % 10 == 0


def veiled(name: str, value: Any, *, digits: bool = True) -> Any:
    """The value of an attribute as it may be shown: secrets by type and name, however deep, are masked.

    With `digits` so are those in free text, too: see `masked_digits`. What is stored goes by types and names only.
    """
    if is_secret_name(name) and has_digit(value):
        return masked(str(value))
    match value:
        case MaskedText():
            return masked(value)
        case str():
            return masked_digits(value) if digits and not is_identifier(name) else value
        case BaseModel() | Mapping():
            return {inner: veiled(str(inner), one, digits=digits) for inner, one in dict(value).items()}
        case tuple() | list():
            return tuple(veiled(name, one, digits=digits) for one in value)
        case Set():
            return frozenset(veiled(name, one, digits=digits) for one in value)
    return value


_SCALARS = (str, int, Decimal, bool, bytes, datetime, type(None))


def has_secrets(values: Mapping[str, Any]) -> bool:
    """Whether one of these values, by their names, is masked where it is shown."""
    for name, value in values.items():
        if (type(value) not in _SCALARS or is_secret_name(name)) and has_secret(name, value):
            return True
    return False


def has_secret(name: str, value: Any) -> bool:
    """Whether a value is masked where it is shown by its type or name, in part or whole."""
    if is_secret_name(name):
        return has_digit(value)
    if type(value) in _SCALARS:
        return False
    match value:
        case MaskedText():
            return True
        case BaseModel() | Mapping():
            return any(has_secret(str(inner), one) for inner, one in dict(value).items())
        case tuple() | list() | Set():
            return any(has_secret(name, one) for one in value)
    return False
