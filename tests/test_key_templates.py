"""Templates of keys by themselves, made in each test: what they build, read, and refuse, and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store import GLOBAL, InvalidKeyError
from bluestar_store.keys import ItemKeys, Key, KeyTemplate, check_new_identifier, unseen
from bluestar_store.mapping.mapper import Mapper
from tests.test_keys import EXAMPLES


@pytest.mark.parametrize(("mapper", "identity", "pk", "sk"), EXAMPLES)
def test_a_template_made_again_of_its_text_makes_and_reads_the_same_keys(
    mapper: Mapper[Any], identity: dict[str, Any], pk: str, sk: str
) -> None:
    forms = tuple((KeyTemplate(template.text), fixed) for template, fixed in mapper.keys.forms)
    keys = ItemKeys(forms, KeyTemplate(mapper.keys.sort.text))
    assert keys == mapper.keys
    assert keys.build(identity) == Key(pk, sk)
    assert keys.parse(Key(pk, sk)) == identity
    assert keys.fields == mapper.keys.fields


def test_keys_of_one_form_are_made_of_two_texts() -> None:
    keys = ItemKeys.of("PLAN#{plan}", "STEP#{number:03d}")
    assert keys.build({"plan": "A", "number": 7}) == Key("PLAN#A", "STEP#007")
    assert keys.parse(Key("PLAN#A", "STEP#7")) == {"plan": "A", "number": 7}
    assert (keys.fields, keys.sort.prefix) == (("plan", "number"), "STEP#")
    assert keys.numbers == {"number"}


@pytest.mark.parametrize("key", [Key("PLAN#A", "STEP"), Key("PLAN", "STEP#1"), Key("PLAN#A#B", "STEP#1"), Key("", "")])
def test_what_is_no_key_of_the_templates_has_no_identity(key: Key) -> None:
    assert ItemKeys.of("PLAN#{plan}", "STEP#{number:03d}").parse(key) is None


def test_a_field_in_both_halves_says_the_same_in_both_or_it_is_no_key() -> None:
    keys = ItemKeys.of("PLAN#{plan}", "COPY#{plan}")
    assert keys.parse(Key("PLAN#A", "COPY#A")) == {"plan": "A"}
    assert keys.parse(Key("PLAN#A", "COPY#B")) is None


def test_spellings_are_the_key_and_those_with_fewer_zeros() -> None:
    keys = ItemKeys.of("PLAN#{plan}", "STEP#{number:04d}")
    spelled = [key.sk for key in keys.spellings({"plan": "A", "number": 7})]
    assert spelled == ["STEP#0007", "STEP#7", "STEP#07", "STEP#007"]
    assert [key.sk for key in keys.spellings({"plan": "A", "number": 123})] == ["STEP#0123", "STEP#123"]
    assert keys.spellings({"plan": "A", "number": 12345}) == (Key("PLAN#A", "STEP#12345"),)
    assert {key.pk for key in keys.spellings({"plan": "A", "number": 7})} == {"PLAN#A"}


def test_a_partition_tells_its_fields_and_those_that_its_form_fixes() -> None:
    own, shared = KeyTemplate("CATEGORY#{category}#CLIENT#{plan_id}"), KeyTemplate("CATEGORY#{category}")
    keys = ItemKeys(((shared, {"plan_id": GLOBAL}), (own, {})), KeyTemplate("RULE#{number:03d}"))
    assert keys.partition_identity("CATEGORY#SSN") == {"category": "SSN", "plan_id": GLOBAL}
    assert keys.partition_identity("CATEGORY#SSN#CLIENT#A") == {"category": "SSN", "plan_id": "A"}
    assert keys.partition_identity("VENDOR#ADP") is None
    assert keys.level == GLOBAL


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "trail must be a partition key, not ''"),
        (None, "trail must be a partition key, not None"),
        (7, "trail must be a partition key, not 7"),
        ("a\ud800", r"trail 'a\\ud800' is not valid Unicode"),
    ],
)
def test_a_key_within_a_key_is_text_that_can_be_stored(value: object, said: str) -> None:
    with pytest.raises(InvalidKeyError, match=f"^{said}$"):
        KeyTemplate("TRAIL#{trail:raw}").build({"trail": value})
    assert KeyTemplate("TRAIL#{trail:raw}").build({"trail": "YEAR#2026"}) == "TRAIL#YEAR#2026"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a\u200bb", "U+200B ZERO WIDTH SPACE"),  # Cf
        ("a\u202eb", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a\x07", "U+0007"),  # Cc has no name
        ("a\ud800", "U+D800"),  # Cs
        ("a\u2028", "U+2028 LINE SEPARATOR"),  # Zl
        ("a\u2029", "U+2029 PARAGRAPH SEPARATOR"),  # Zp
        ("a\u3164", "U+3164 HANGUL FILLER"),  # a letter that is drawn as nothing
        ("a\u2800", "U+2800 BRAILLE PATTERN BLANK"),
        ("a\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
    ],
)
def test_a_character_that_cannot_be_seen_is_named_and_refused_in_new_identifiers(text: str, named: str) -> None:
    assert unseen(text) == f"contains a character that cannot be seen: {named}"
    with pytest.raises(InvalidKeyError) as raised:
        check_new_identifier("plan_id", text)
    assert str(raised.value).startswith("plan_id 'a")
    assert str(raised.value).endswith(f" contains a character that cannot be seen: {named}")


@pytest.mark.parametrize("text", ["", "ACME", "a b", "\u00e9\u4e2d\u05d0", "a\u00a0b", "\U0001f4b0"])
def test_what_can_be_seen_is_taken_and_so_are_spaces(text: str) -> None:
    assert unseen(text) is None
    check_new_identifier("plan_id", text)
