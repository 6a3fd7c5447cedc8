"""Masks secrets, which are known by their type, by their name (see `names`), or by their digits."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Set
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args, overload
from urllib.parse import unquote

from immutabledict import immutabledict
from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from bluestar_store.redaction.digits import (
    FORM,
    KEYED,
    LONGEST_OWN,
    MORE,
    NAMED,
    NINE,
    ORDINARY,
    OWN,
    PAIR,
    RUN,
    UNSEEN,
    is_random,
    own_id_around,
    passes_checksum,
)
from bluestar_store.redaction.names import (
    NAMES,
    identifies_person,
    is_identifier,
    is_secret_name,
    mentions_secret_in_sentence,
    names_a_secret,
    shown_key_fields,
)

SHORTEST = 9
"""Characters of text, and of a number, that may be masked by its digits."""
PUBLIC = frozenset(["The Social Security number must have nine digits, as 123456789 or 123-45-6789."])
"""Texts of the baseline with numbers for examples: they are no secrets, and their digests stay what they are."""
LONGEST_KEPT = 200
"""Characters of text of which it is remembered whether it is masked."""
LEAST_DIGITS = 5
"""Digits of a number in text, or of a key, that its name makes a secret: years and counts have fewer."""
_DIGIT = re.compile(r"\d")
LEAST_TOLD = 8
"""Digits of a number that a sentence, or a list, makes a secret: what is nearer to its name may have fewer."""
MOST_DECODED = 3
"""How often a text is URLs' encoding of another one, at most."""


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


class Words(Enum):
    """Marks a field of an entity by what its words mean."""

    OF_OTHERS = "of others"
    """The names in it are somebody else's, as a file's columns are: "Account Number" leads to no number there."""


def names_tell(entity: type[BaseModel], field: str) -> bool:
    """Whether names in a field's value say that what is under them is secret; also of a field that it does not have."""
    known = entity.model_fields.get(field)
    return known is None or Words.OF_OTHERS not in known.metadata


@lru_cache(1024)
def sensitive_fields(entity: type[BaseModel]) -> frozenset[str]:
    """The fields that are declared with MaskedText, alone or as a part of their type."""
    return frozenset(name for name, field in entity.model_fields.items() if _mentions(field.annotation))


def _mentions(annotation: Any) -> bool:
    return annotation is MaskedText or any(map(_mentions, get_args(annotation)))


@overload
def masked(secret: str) -> str: ...
@overload
def masked(secret: None) -> None: ...
def masked(secret: str | None) -> str | None:
    """A secret as it may be shown: its last four characters at most, never more than half of it."""
    if secret is None:
        return None
    visible = min(4, len(secret) // 2)
    return "*" * (len(secret) - visible) + secret[len(secret) - visible :]


def as_masked(value: Any) -> Any:
    """What a field of SensitiveText holds: each text in it as MaskedText."""
    match value:
        case str():
            return MaskedText(value)
        case tuple() | list():
            return type(value)(map(as_masked, value))
        case Mapping():
            return immutabledict({name: as_masked(one) for name, one in value.items()})
    return value


def has_digit(value: Any) -> bool:
    """Whether there is a digit in it: every account number has one."""
    return any(map(str.isdigit, str(value)))


def _tells_by_name(value: Any) -> bool:
    """Whether a value under a name that is masked is one: it has a digit, and is no digest that takes a key."""
    return has_digit(value) and not (isinstance(value, str) and re.fullmatch(KEYED, value))


def masked_digits(text: str, decoded: int = 0) -> str:
    """Free text as it may be shown: bank routing numbers, card numbers and SSNs in it masked.

    They are known by their check digits (ABA, Luhn) or, an SSN, by its form; one in ten random numbers passes, so what
    is stored is never changed like this. So is what the text itself calls an account number or the like: in words, as
    JSON, in the query of a URL. `decoded`: how often it was an encoded one before.
    """
    if len(text) < LEAST_DIGITS or _DIGIT.search(text) is None or text in PUBLIC:
        return text
    if text.lstrip()[:1] in ("{", "[") and (shown := _as_json(text)) is not None:
        return shown
    if len(_DIGIT.findall(text)) < LEAST_DIGITS:
        return text
    if decoded < MOST_DECODED and "%" in text and (plain := unquote(text)) != text:
        shown = masked_digits(plain, decoded + 1)
        if shown != plain:
            return shown

    if not text.isascii() and (plain := re.sub(UNSEEN, "", text)) != text:
        shown = masked_digits(plain, decoded)
        if shown != plain:
            return shown

    def shown_run(found: re.Match[str]) -> str:
        return found[0] if is_random(found) or not passes_checksum(found[0]) else masked(found[0])

    def shown_pair(found: re.Match[str]) -> str:
        pair = [number for number in found.groups() if not re.fullmatch(ORDINARY, number)]
        is_one = len(pair) == 2 and any(len(number) == 9 and passes_checksum(number) for number in pair)
        return masked(found[0]) if is_one and not is_random(found) else found[0]

    text = re.sub(RUN, shown_run, re.sub(FORM, shown_run, re.sub(PAIR, shown_pair, text)))
    return re.sub(NAMED, _Named().shown, text)


class _Named:
    """Masks numbers in a text that the words before them name as secret, and lists that begin with such a number."""

    def __init__(self) -> None:
        self._end = -1
        self._is_birth = False

    def shown(self, found: re.Match[str]) -> str:
        """A number as it may be shown."""
        text, start = found.string, found.start()
        digits = sum(map(str.isdigit, found[0]))
        is_masked = text[max(0, start - 1) : start] == "*"
        if digits < LEAST_DIGITS and not is_masked:
            return found[0]
        own = own_id_around(found)
        named_at = own.start() if own else start  # the letters of an id are no name of its digits
        before = re.sub(OWN, "-", text[max(0, named_at - 60 - LONGEST_OWN) : named_at])[-60:]
        before = before.rstrip(" \t:=#.,>()[]'\"\\-*")
        if is_masked and re.match(r"\d{1,4}[A-Za-z]", found[0]):  # text follows, no other number
            return found[0]
        if not self._is_secret(found, before, digits + 4 * is_masked):
            return found[0]
        self._end = found.end()
        return found[0] if digits < LEAST_DIGITS else masked(found[0])

    def _is_secret(self, found: re.Match[str], before: str, digits: int) -> bool:
        gap = found.string[self._end : found.start()] if 0 <= found.start() - self._end <= 24 else None
        if self._end >= 0 and gap is not None and re.fullmatch(MORE, gap):
            return digits >= LEAST_TOLD and (self._is_birth or not re.fullmatch(ORDINARY, found[0]))
        self._is_birth = re.search("birth|dob", before, re.IGNORECASE) is not None
        if names_a_secret(before[-40:]):
            return True
        is_told = digits >= LEAST_TOLD and (self._is_birth or not re.fullmatch(ORDINARY, found[0]))
        return is_told and mentions_secret_in_sentence(before)


def _as_json(text: str) -> str | None:
    """The same of JSON; None for what is none."""
    import json

    try:
        content = json.loads(text, parse_float=Decimal)
        shown = redacted("", content)
        return text if shown == _as_tuples(content) else json.dumps(shown, default=float, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _as_tuples(value: Any) -> Any:
    """As `redacted` gives what it does not change."""
    match value:
        case dict():
            return {name: _as_tuples(one) for name, one in value.items()}
        case list():
            return tuple(map(_as_tuples, value))
    return value


def redacted(
    name: str, value: Any, *, digits: bool = True, numbers: bool = True, names: bool = True, secret: bool = False
) -> Any:
    """The value of an attribute as it may be shown: secrets by type and name, however deep, are masked.

    With `digits` so are those in free text, too: see `masked_digits`; and with `numbers` numbers, unless the value is
    itself one, of a field that is declared as a number. What is stored goes by types and names only. Without `names`
    those do not count, and all of what is `secret` is masked.
    """
    return _Redacted(digits, names).of(name, value, secret=secret, numbers=numbers)


class _Redacted(NamedTuple):
    digits: bool
    names: bool

    def of(self, name: str, value: Any, *, secret: bool = False, named: bool = False, numbers: bool = True) -> Any:
        """See `redacted`. `named`: it lies beneath such a name."""
        named = named or (self.names and is_secret_name(name))
        match value:
            case None | bool():
                return value
            case MaskedText():
                return masked(value)
            case BaseModel():
                hidden, shown = sensitive_fields(type(value)), shown_key_fields(type(value))
                return {
                    one: part
                    if one in shown and not (secret or named)
                    else self.of(one, part, secret=secret or one in hidden, named=named)
                    for one, part in dict(value).items()
                }
            case Mapping():
                return self._map(value, secret=secret, named=named)
            case tuple() | list():
                return tuple(self.of(name, one, secret=secret, named=named) for one in value)
            case Set():
                return frozenset(self.of(name, one, secret=secret, named=named) for one in value)
        if secret or (named and _tells_by_name(value)):
            return masked(_text(value))
        if not self.digits or (not numbers and not isinstance(value, str | bytes)):
            return value
        return _shown(name, value)

    def _map(self, values: Mapping[Any, Any], *, secret: bool, named: bool) -> dict[str, Any]:
        """Keys are as secret as what they lead to; two that look the same stay two."""
        shown: dict[str, Any] = {}
        for key, value in values.items():
            text = str(key)
            name = text
            if (secret or named) and sum(map(str.isdigit, text)) >= LEAST_DIGITS:
                name = masked(text)
            elif self.digits:
                name = masked_digits(text)
            same = (f"{name} ({number})" for number in count(2))
            name = name if name not in shown else next(one for one in same if one not in shown)
            shown[name] = self.of(text, value, secret=secret, named=named)
        return shown


def _shown(name: str, value: Any) -> Any:
    """By its digits."""
    match value:
        case str():
            if is_identifier(name):
                return value
            text = masked_digits(value)
            return re.sub(NINE, lambda found: masked(found[0]), text) if identifies_person(name) else text
        case bytes():
            text = value.decode("latin-1")
            return value if (shown := masked_digits(text)) == text else shown.encode("latin-1", "replace")
        case int() | Decimal():
            text = _text(value)
            is_one = re.fullmatch(NINE, text) and identifies_person(name)
            return masked(text) if is_one or (re.fullmatch(RUN, text) and passes_checksum(text)) else value
    return value


def _text(value: Any) -> str:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal() if value.is_finite() and -40 < value.adjusted() < 40:
            return format(value, "f")
    return str(value)


def has_secrets(values: Mapping[str, Any], *, numbers: bool = True) -> bool:
    """Whether one of these values is masked where it is shown; `numbers` as for `redacted`."""
    for name, value in values.items():
        match value:  # what most are, without a detour
            case None | bool():
                continue
            case str() if type(value) is str:
                if _DIGIT.search(value) is None or (len(value) < SHORTEST and not is_secret_name(name)):
                    continue
            case int() | Decimal():
                if not numbers and not is_secret_name(name):
                    continue
        if has_secret(name, value, numbers=numbers):
            return True
    return False


def has_secret(name: str, value: Any, *, numbers: bool = True, named: bool = False) -> bool:
    """Whether a value is masked where it is shown by its type, name or digits, in part or whole: see `redacted`.

    `named`: it lies beneath a name that is masked.
    """
    named = named or is_secret_name(name)
    match value:
        case None | bool():
            return False
        case MaskedText():
            return True
        case BaseModel():
            hidden = sensitive_fields(type(value))
            return any(
                (one in hidden and part is not None) or has_secret(one, part, named=named)
                for one, part in dict(value).items()
            )
        case Mapping():
            return any(
                masked_digits(str(key)) != str(key) or has_secret(str(key), part, named=named)
                for key, part in value.items()
            )
        case tuple() | list() | Set():
            return any(has_secret(name, one, named=named) for one in value)
    if named and _tells_by_name(value):
        return True
    if not numbers and isinstance(value, int | Decimal):
        return False
    if type(value) is str and len(value) <= LONGEST_KEPT:
        return _has_digits_masked(value, persons=identifies_person(name)) and not is_identifier(name)
    return bool(_shown(name, value) != value)


@lru_cache(2048)
def _has_digits_masked(text: str, *, persons: bool) -> bool:
    """Whether text is masked by its digits: rules say the same again and again."""
    return masked_digits(text) != text or (persons and re.search(NINE, text) is not None)


NAMES.when_used(_has_digits_masked.cache_clear)
