"""Finds runs of digits in text that may be account numbers, by their form and check digits."""

from __future__ import annotations

import re

_DASHES = r"[\s_+\u2010-\u2015\u2212\ufe58\ufe63\uff0d-]"
_APART = rf"(?:\s?[_+\u2010-\u2015\u2212\ufe58\ufe63\uff0d-]{{1,2}}\s?|{_DASHES})"
FORM = (
    r"(?<!\d)(?:"
    rf"\d{{3}}({_APART}|/)\d\d\1\d{{4}}|(?<!\d\.)\d{{3}}\.\d\d\.\d{{4}}"
    rf"|\d{{4}}({_APART})\d{{4}}\2\d{{4}}\2\d{{4}}(?:\2\d{{1,3}})?|\d{{4}}({_APART})\d{{6}}\3\d{{5}})(?!\d)"
)
"""What has the form of an SSN or of a card."""
RUN = rf"(?<!\d)(?<!\d\.)(?:\d{{1,8}}({_DASHES})\d{{1,8}}(?:\1\d{{1,8}})+|\d{{9}}|\d{{13,19}})(?!\d)"
"""What may be a routing number or a card, whatever stands between its digits."""
PAIR = r"(?<!\d)(?<!\d[.-])(\d{5,17})(?:\s?[/|:,-]\s?)(\d{5,17})(?!\d|-\d)"
"""What may be a routing number with its account."""
NAMED = rf"\d[\dA-Za-z]*(?:(?:{_DASHES}|[./])[A-Za-z]{{0,4}}\d[\dA-Za-z]*)*"
"""What may be a number that the words before it name."""
MORE = r"[\s,;:/|&'\"()\[\]<>=!+-]*(?:(?:and|or|to|vs|but|got|expected|is|now|not|was)\b[\s,;:'\"]*){0,3}"
"""What stands between two numbers that one name is of."""
ORDINARY = (
    r"(?:19|20)\d\d([-/.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?:[T ]?\d{4}|[T ]?\d{6})?(?:[T ]\d\d)?"
    r"|\d\d?([-/.])\d\d?\2(?:19|20)\d\d|\d+\.\d{1,2}|.*[A-Za-z].*"
)
"""Dates, amounts, and tokens with letters in them."""
UNSEEN = r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]+"
"""What cannot be seen between digits."""
NINE = rf"(?<!\d)(?:\d{_DASHES}?){{8}}\d(?!\d)"
_ULID = "01[A-HJKMNP-TV-Z][0-9A-HJKMNP-TV-Z]{23}"
KEYED = rf"hmac-sha256:(?:[0-9a-f]{{16}}(?:\.{_ULID})?|{_ULID}):[0-9a-f]{{64}}"
"""A digest that takes a key: see `digest_keys`."""
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
OWN = rf"(?<![0-9A-Za-z])(?:{KEYED}|[0-9a-f]{{64}}|[0-9a-f]{{32}}|{_UUID}|{_ULID})(?![0-9A-Za-z])"
"""What the library makes itself: digests, salts, tokens, ids of batches, holds, keys and documents."""
LONGEST_OWN = 128
"""Characters of one of these, at most."""
_WORD_END, _WORD_START = re.compile("[0-9A-Za-z]*$"), re.compile("[0-9A-Za-z]*")
TOKEN_LENGTH = 24
"""From which digests and ids of random letters and digits are long: what passes a check in them does so by chance."""


def own_id_around(run: re.Match[str]) -> re.Match[str] | None:
    """What the library makes itself (an id, a digest) that a run of digits is a part of; None if there is nothing."""
    found = re.compile(OWN).finditer(run.string, max(0, run.start() - LONGEST_OWN), run.end() + LONGEST_OWN)
    return next((own for own in found if own.start() <= run.start() and run.end() <= own.end()), None)


def is_random(run: re.Match[str]) -> bool:
    """Whether a run of digits is a part of what the library makes, or of a token with other digits here and there."""
    if own_id_around(run):
        return True
    before, behind = run.string[max(0, run.start() - 64) : run.start()], run.string[run.end() : run.end() + 64]
    rest = f"{_WORD_END.search(before)[0]} {_WORD_START.match(behind)[0]}"  # type: ignore[index]  # may be empty
    return len(rest) - 1 + len(run[0]) >= TOKEN_LENGTH and len(re.findall(r"\d+", rest)) > 1


def passes_checksum(run: str) -> bool:
    """Whether a run of digits has the check digits of a routing number (ABA) or a card (Luhn), or an SSN's form."""
    groups = re.findall(r"\d+", run)
    digits = [int(char) for char in "".join(groups)]
    if len(digits) == 9:
        if list(map(len, groups)) == [3, 2, 4]:
            return digits[:3] != [0, 0, 0]
        weights = (3, 7, 1) * 3
        return any(digits) and sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 10 == 0
    if not 13 <= len(digits) <= 19:
        return False
    luhn = sum(digits[-1::-2]) + sum(2 * digit - 9 * (digit > 4) for digit in digits[-2::-2])
    return digits[0] in (2, 3, 4, 5, 6) and luhn % 10 == 0
