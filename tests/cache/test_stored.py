"""What lies under one key of Redis is read as what it is, and as nothing where it is not of our making."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from bluestar_store.cache.redis import stored
from bluestar_store.cache.redis.stored import (
    EXPIRED,
    LEASE_MS,
    MAX_LIFETIME_MS,
    AbandonedLease,
    OtherLease,
    Outdated,
    OwnLease,
    StoredValue,
    Tombstone,
    Unreadable,
    Unsigned,
)

TOKEN = b"0123456789abcdef"
OWN = stored.lease(b"f" * 16)


def test_a_value_is_read_as_it_was_written() -> None:
    found = stored.parse(stored.value(TOKEN, 1000, b"pay\nload"), 400, OWN)
    assert found == StoredValue(TOKEN, b"pay\nload", 600, 400)
    assert isinstance(found, StoredValue)
    assert (found.claim, found.signed, found.written_ms) == (b"V" + TOKEN, None, 0)
    assert stored.value(TOKEN, 1000, b"").startswith(found.claim + b"2")


def test_a_signed_value_is_read_with_what_was_signed() -> None:
    asked: list[bytes] = []

    def sign(content: bytes) -> bytes:
        asked.append(content)
        return b"5" * 64

    content = stored.signed_value(TOKEN, 1000, b"payload", sign, 1_700_000_000_000)
    found = stored.parse(content, 1000, OWN)
    assert isinstance(found, StoredValue)
    assert (found.payload, found.age_ms, found.remaining_ms) == (b"payload", 0, 1000)
    assert found.signed == (asked[0], b"5" * 64)
    assert found.written_ms == 1_700_000_000_000
    assert asked == [b"1700000000000 1000\npayload"]
    assert content.startswith(b"V" + TOKEN + b"3")


@pytest.mark.parametrize("content", [None, OWN])
def test_a_key_that_held_nothing_holds_our_lease(content: bytes | None) -> None:
    found = stored.parse(content, 5, OWN)
    assert found == OwnLease(b"f" * 16)
    assert isinstance(found, OwnLease)
    assert found.claim == OWN


def test_what_stands_for_a_key_that_may_be_replaced_is_the_beginning_of_its_content() -> None:
    assert [made(TOKEN).claim for made in (Outdated, Unsigned)] == [b"V" + TOKEN] * 2
    assert [made.claim for made in (OwnLease(TOKEN), AbandonedLease(TOKEN), OtherLease(TOKEN, 5))] == [b"L" + TOKEN] * 3


@pytest.mark.parametrize(("remaining", "is_lease"), [(0, True), (LEASE_MS, True), (LEASE_MS + 1, False), (-1, False)])
def test_a_lease_of_another_process_has_a_bounded_time(remaining: int, is_lease: bool) -> None:
    found = stored.parse(stored.lease(TOKEN), remaining, OWN)
    assert found == (OtherLease(TOKEN, remaining) if is_lease else Unreadable())


@pytest.mark.parametrize(
    ("lifetime", "remaining", "is_value"),
    [
        (1000, 1000, True),
        (1000, 0, True),
        (1000, 1001, False),
        (1000, -1, False),
        (MAX_LIFETIME_MS, 5, True),
        (MAX_LIFETIME_MS + 1, 5, False),
    ],
)
def test_a_value_has_a_bounded_time(lifetime: int, remaining: int, is_value: bool) -> None:
    found = stored.parse(stored.value(TOKEN, lifetime, b"payload"), remaining, OWN)
    assert isinstance(found, StoredValue if is_value else Unreadable)


@pytest.mark.parametrize("content", [b"T", b"Tf00:12;", b"Tanything"])
def test_a_tombstone_is_known_by_its_first_byte(content: bytes) -> None:
    assert stored.parse(content, 5, OWN) == Tombstone()


def test_a_key_that_expired_under_the_look_counts_as_being_written() -> None:
    assert stored.parse(stored.value(TOKEN, 1000, b"payload"), EXPIRED, OWN) == Tombstone()


@pytest.mark.parametrize(
    ("content", "remaining"),
    [
        (stored.value(TOKEN, 1000, b"payload") + b"x", 5),
        (stored.value(TOKEN, 1000, b"payload").replace(TOKEN + b"2", TOKEN + b"4"), 5),
        (stored.value(TOKEN, 1000, b"payload")[:-1], 5),
        (stored.lease(TOKEN) + b"x", 5),
        (stored.lease(TOKEN)[:-1], 5),
        (b"", 5),
        (b"a value of another program", 5),
        (7, 5),
        (stored.value(TOKEN, 1000, b"payload"), None),
        (stored.value(TOKEN, 1000, b"payload"), b"5"),
    ],
)
def test_anything_else_is_not_read(content: Any, remaining: Any) -> None:
    assert stored.parse(content, remaining, OWN) == Unreadable()


def test_tokens_are_unique_and_of_one_length() -> None:
    made = [stored.new_token() for _ in range(100)]
    assert len(set(made)) == 100
    assert {len(token) for token in made} == {stored.TOKEN_BYTES}
    assert all(token.isalnum() for token in made)


def test_leases_have_a_token_each_and_differ_between_processes() -> None:
    first, second = (list(islice(stored.leases(), 300)) for _ in range(2))
    assert len({*first, *second}) == 600
    assert {len(lease) for lease in first} == {1 + stored.TOKEN_BYTES}
    assert all(lease.startswith(stored.LEASE) for lease in first)
    assert all(isinstance(stored.parse(lease, 5, OWN), OtherLease) for lease in first)
