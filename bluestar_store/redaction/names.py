"""Names of secrets, and texts that mention one.

Names are compared by word parts: `employee_ssn`, `acctNumber` and `Account No` are found, `discard` is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from bluestar_store.redaction.digits import OWN

DEFAULT_NAMES = (
    "aba",
    "account",
    "acct",
    "birth date",
    "birthday",
    "card",
    "cvv",
    "date birth",
    "date of birth",
    "dda",
    "dob",
    "iban",
    "itin",
    "passport",
    "pan",
    "routing",
    "rtn",
    "soc sec",
    "social sec",
    "social security",
    "ss nbr",
    "ss no",
    "ss num",
    "ss number",
    "ssn",
    "tax id",
    "tax identification",
    "tax identifier",
    "taxid",
    "taxpayer id",
    "taxpayer identification",
    "tin",
    "transit number",
)
"""Words of names whose values are masked, unless the setting `masked_names` says otherwise."""

# The longer patterns are compiled when they are needed: every agent imports this module.
_WORDS = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_BEFORE = (
    "aba|ach|bank|benefit|beneficiary|checking|credit|debit|dependent|deposit|direct|employee|ee|emp|from|member|owner"
    "|participant|payee|savings|spouse|to|worker"
)
_BEHIND = "code|id|nbr|no|nr|num|number"
"""What names put before and behind these words without a border: `bankaccount`, `acctno`."""
_ENDS, LEAST_END = ("acct", "ssn"), 5
"""Names, and the letters of others, that are found at the end of any word: `payrollaccount`. Of `martin` no part is."""
_BETWEEN = (
    rf"{_BEHIND}|actual|are|as|be|changed|does|employee|expected|for|found|from|given|got|in|invalid|is|match(?:es)?"
    "|member|mismatch|must|new|not|numeric|of|old|participant|received|set|should|spouse|the|to|unknown|updated|value"
    "|was|were|wrong"
)
"""What a sentence may say between such a name and the number: `SSN must be numeric; got 123456789`."""
_OTHERS = (
    "amount|balance|batch|call|case|client|comp|date|day|fax|file|hour|line|order|pay|period|phone|plan|record|row|rule"
    "|since|step|tel|ticket|time|total|type|until|vendor|wage|year|zip"
)
"""What the number behind it is of, whatever was named before."""
_PERSON = (
    r"(?<!\S)(?:beneficiary|dependent|ee|emp|employee|individual|member|participant|payee|person|spouse|taxpayer|worker)"
    rf"s? ?(?:{_BEHIND}|identifier|key|ref|reference)s?(?!\S)"
)
"""Names of what tells people apart."""


IDENTIFIERS = frozenset(("batch_id", "client_id", "hold_id", "partition", "plan_id", "vendor_id"))


class _Names:
    """The names of all Stores of this process: a repr does not know which Store its value belongs to."""

    def __init__(self) -> None:
        self._used: frozenset[str] = frozenset()
        self._forget: list[Callable[[], None]] = []
        self._keys: dict[type, frozenset[str]] = {}

    def use(self, names: Iterable[str]) -> None:
        """Mask these from now on, too; the defaults count until the first call."""
        wanted = frozenset(names)
        if not wanted <= self._used:
            self._used |= wanted
            is_secret_name.cache_clear()
            shown_key_fields.cache_clear()
            names_a_secret.cache_clear()
            mentions_secret_in_sentence.cache_clear()
            for forget in self._forget:
                forget()

    def when_used(self, forget: Callable[[], None]) -> None:
        """Call `forget` when names are added: what was cached of the former ones is outdated."""
        self._forget.append(forget)

    def know(self, entity: type, key_fields: Iterable[str]) -> None:
        """These fields of a class make its keys: see `shown_key_fields`."""
        self._keys[entity] = frozenset(key_fields)
        shown_key_fields.cache_clear()

    def keys_of(self, entity: type) -> frozenset[str]:
        """The fields that make the keys of a class; none of one that no Store of this process knows."""
        return self._keys.get(entity, frozenset())

    @property
    def patterns(self) -> _Patterns:
        """Regular expressions that find the names in a text of words in lower case with one space between them."""
        names = [words_of(name) for name in self._used or DEFAULT_NAMES]
        words = "|".join(sorted((r"\s?".join(map(re.escape, name)) for name in names), key=len, reverse=True))
        ends = [*_ENDS, *(name[0] for name in names if len(name) == 1 and len(name[0]) >= LEAST_END)]
        ends = [re.escape(end) for end in ends if [end] in names]
        behind = rf"s?(?:(?:{_BEHIND})s?)?"
        whole = rf"(?:{_BEFORE})?(?:{words}){behind}"
        one = rf"(?<!\S)(?:{whole}|\S+(?:{'|'.join(ends)}){behind})" if ends else rf"(?<!\S){whole}"
        between = rf"(?: (?:{_BETWEEN})s?)*"
        return _Patterns(
            whole,
            rf"{one}(?!\S)",
            rf"{one}(?: (?:{_BEHIND}|is|was))*(?: [a-z]{{2}})?$",
            rf"{one}{between}$",
            rf"{one}{between} (?:for|of)(?: \S+){{1,5}}$",
        )


class _Patterns(NamedTuple):
    """`whole` is such a name, `part` is in one; the others end a text: `said` at once, `told` in a sentence, `owned`
    with whose it is.
    """

    whole: str
    part: str
    said: str
    told: str
    owned: str


NAMES = _Names()


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return [word.lower() for word in _WORDS.findall(name)]


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Whether an attribute of this name is a secret, which is masked. An id or a digest for a key names nothing."""
    if re.fullmatch(OWN, name):
        return False
    words, patterns = words_of(name), NAMES.patterns
    return bool(re.search(patterns.part, " ".join(words)) or re.fullmatch(patterns.whole, "".join(words)))


@lru_cache(4096)
def names_a_secret(text: str) -> bool:
    """Whether a text that ends here is going to say a secret: `bank account no.`."""
    return re.search(NAMES.patterns.said, " ".join(words_of(text))) is not None


@lru_cache(4096)
def mentions_secret_in_sentence(text: str) -> bool:
    """Whether one does so in a sentence: `account number for ACME`."""
    words, patterns = words_of(text), NAMES.patterns
    if not words or re.fullmatch(_OTHERS, words[-1].removesuffix("s")):
        return False
    last = re.split(r"[,;\n]|\. ", text)[-1]
    return bool(re.search(patterns.told, " ".join(words)) or re.search(patterns.owned, " ".join(words_of(last))))


@lru_cache(4096)
def identifies_person(name: str) -> bool:
    """Whether an attribute of this name identifies a person, which is often their SSN."""
    return re.search(_PERSON, " ".join(words_of(name))) is not None


def is_identifier(name: str) -> bool:
    """Whether an attribute of this name identifies items. It is shown whole, so that people can ask for them."""
    return name in IDENTIFIERS


@lru_cache(256)
def shown_key_fields(entity: type) -> frozenset[str]:
    """The fields that make an entity's key, users' own kinds' included, but for those that identify a person."""
    names = NAMES.keys_of(entity)
    return frozenset(name for name in names if not is_secret_name(name) and not identifies_person(name))
