"""Finds words that differ from a known word by a typing slip."""

from __future__ import annotations

from collections.abc import Iterable

MEANT = "(BLUESTAR_KNOWN_WORDS names words of your own)"
"""What errors say of a word that no list knows."""


def is_near(word: str, known: str) -> bool:
    """Whether a word is a known one with a slip: another case, a letter more, less, wrong, or two swapped.

    Numbered words are meant (SSN2 beside SSN), and so are short ones with one letter that is another (RATE, DATE).
    """
    one, other = word.strip().casefold(), known.casefold()
    if one == other:
        return True
    if len(one) > len(other):
        one, other = other, one
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return (
            len(other) - len(one) == 1
            and len(one) >= 3
            and one[start:] == other[start + 1 :]
            and not _digit(other[start])
        )
    if one[start + 1 :] == other[start + 1 :]:
        return len(one) > 4 and not _digit(one[start] + other[start])
    return one[start + 2 :] == other[start + 2 :] and one[start : start + 2] == other[start + 1 : start - 1 : -1]


def _digit(text: Iterable[str]) -> bool:
    return any(map(str.isdigit, text))
