"""Names of keys and channels, messages as other processes read them, signatures, and what waits to be announced."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest

from bluestar_store.cache.redis import messages
from bluestar_store.cache.redis.messages import (
    MAX_KEYS_A_MESSAGE,
    Message,
    Namespace,
    Notice,
    PendingNotices,
    Signer,
    read_message,
)
from bluestar_store.protocols import CacheKey

SPACE = Namespace("dev-1")
A, B = ("calculation-rule", "ACME", "match"), ("irs-limits", 2026)

# --------------------------------------------------------------------------------------------------------------- names


def test_names_are_what_every_release_uses() -> None:
    assert SPACE.channel == b"bluestar:dev-1:changes"
    assert SPACE.own_channel("abc") == b"bluestar:dev-1:changes:abc"
    assert SPACE.slot_key(A) == b'bluestar:{dev-1|["calculation-rule","ACME","match"]}:'
    assert SPACE.redis_key(B, b"f00") == b'bluestar:{dev-1|["irs-limits",2026]}:f00'
    assert SPACE.pattern(b"f00") == b"bluestar:{dev-1|*}:f00"
    assert Namespace("x").slot_key(("é", None)) == 'bluestar:{x|["é",null]}:'.encode()


@pytest.mark.parametrize("key", [A, B, ("a", "with}: braces", None)])
def test_a_cache_key_is_read_out_of_its_redis_key(key: CacheKey) -> None:
    assert SPACE.cache_key(SPACE.redis_key(key, b"f00")) == key


@pytest.mark.parametrize(
    "redis_key",
    [
        b'bluestar:{dev-2|["a"]}:f00',
        b'{dev-1|["a"]}:f00',
        b'["a"]}:f00',
        b'bluestar:{dev-1|["a"]',
        b'bluestar:{dev-1|"a"}:f00',
        b'bluestar:{dev-1|{"a":1}}:f00',
        b"bluestar:{dev-1|[}:f00",
        b"bluestar:{dev-1|\xff}:f00",
        b"bluestar:{dev-1|" + b"[" * 100_000 + b"}:f00",
        b"",
    ],
)
def test_other_redis_keys_have_no_cache_key(redis_key: bytes) -> None:
    assert SPACE.cache_key(redis_key) is None


# ------------------------------------------------------------------------------------------------------------ messages


def test_a_change_is_read_as_it_was_sent() -> None:
    assert read_message(SPACE.changed("one", [A, B, A])) == Message("one", (A, B))
    told = SPACE.changed("one", [A], b"writer", 1.5, unwritten=True, sent_twice=True)
    assert read_message(told) == Message("one", (A,), b"writer", 1.5, unwritten=True, sent_twice=True)
    assert read_message(SPACE.changed("one", [A], b"writer")) == Message("one", (A,), b"writer")


def test_a_change_is_sent_as_every_release_reads_it() -> None:
    assert json.loads(SPACE.changed("one", [B], b"writer", 1.5, unwritten=True, sent_twice=True)) == {
        "o": "one",
        "u": [["irs-limits", 2026]],
        "w": "writer",
        "b": 1500,
        "d": 1,
        "n": 1,
    }
    assert json.loads(SPACE.changed("one", [B])) == {"o": "one", "u": [["irs-limits", 2026]]}


def test_a_change_of_all_that_matches_is_read_as_it_was_sent() -> None:
    assert read_message(SPACE.matching("one", "irs-limits", {"year": 2026})) == Message(
        "one", kind="irs-limits", fields={"year": 2026}
    )
    everything = SPACE.matching("one", None, {}, sent_twice=True)
    assert read_message(everything) == Message("one", fields={}, sent_twice=True)
    assert json.loads(everything) == {"o": "one", "k": None, "f": {}, "n": 1}
    assert json.loads(SPACE.matching("one", "k", {"a": "b"})) == {"o": "one", "k": "k", "f": {"a": "b"}}


def test_a_heartbeat_is_read_as_it_was_sent() -> None:
    assert read_message(SPACE.heartbeat("one", "n")) == Message("one", probe="n")
    assert json.loads(SPACE.heartbeat("one", "n")) == {"o": "one", "p": "n"}


@pytest.mark.parametrize(
    "said",
    [
        {"u": [["a"]]},
        {"o": "one"},
        {"o": "one", "u": []},
        {"o": "o" * 101, "u": [["a"]]},
        {"o": "one", "u": [["a"]], "w": "w" * 101},
        {"o": "one", "u": [["a"]], "b": -1},
        {"o": "one", "u": [["a"]], "b": 10**12 + 1},
        {"o": "one", "u": [["a"]], "b": "1"},
        {"o": "one", "u": [[]]},
        {"o": "one", "u": [["a"] * 11]},
        {"o": "one", "u": [[["a"]]]},
        {"o": "one", "u": [["a"]] * (MAX_KEYS_A_MESSAGE + 1)},
        {"o": "one", "f": {"a": []}},
        ["a"],
    ],
)
def test_what_no_release_sends_is_no_message(said: Any) -> None:
    assert read_message(json.dumps(said).encode()) is None


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_no_message(data: bytes) -> None:
    assert read_message(data) is None


def test_a_message_may_be_as_large_as_it_may() -> None:
    said = {"o": "o" * 100, "u": [["a"] * 10] * MAX_KEYS_A_MESSAGE, "w": "w" * 100, "b": 10**12, "later": "ignored"}
    found = read_message(json.dumps(said).encode())
    assert found is not None
    assert (len(found.cache_keys), found.tombstone_seconds) == (MAX_KEYS_A_MESSAGE, 10**9)


# ---------------------------------------------------------------------------------------------------------- signatures


def test_a_signature_holds_for_its_content_in_its_context_by_any_of_the_keys() -> None:
    old, new, other = Signer([b"old"]), Signer([b"new", b"old"]), Signer([b"other"])
    signature = old.sign(b"context", b"content")
    assert len(signature) == messages.SIGNATURE_CHARACTERS
    assert new.is_signed(b"context", b"content", signature)
    assert not other.is_signed(b"context", b"content", signature)
    assert not new.is_signed(b"context", b"contents", signature)
    assert not new.is_signed(b"contex", b"t\ncontent", signature)
    assert not new.is_signed(b"context", b"content", signature[:-1] + b"x")
    assert not old.is_signed(b"context", b"content", new.sign(b"context", b"content"))
    assert [bool(signer) for signer in (new, Signer([]))] == [True, False]


def test_a_signature_is_what_every_release_makes() -> None:
    made = hmac.new(b"key", b"7 context\ncontent", "sha256").hexdigest()
    assert Signer([b"key", b"old"]).sign(b"context", b"content") == made.encode()


def test_a_signed_message_is_opened_by_its_channel() -> None:
    signer, message = Signer([b"key"]), SPACE.changed("one", [A])
    signed = signer.signed_message(b"channel", message)
    assert json.loads(signed) == {**json.loads(message), "s": signer.sign(b"channel", message).decode()}
    assert signer.opened_message(b"channel", signed) == (message, True)
    assert signer.opened_message(b"other", signed) == (message, False)
    assert Signer([b"another"]).opened_message(b"channel", signed) == (message, False)
    assert signer.opened_message(b"channel", message) == (message, False)
    assert signer.opened_message(b"channel", signed[:-1]) == (signed[:-1], False)
    changed = signed.replace(b"ACME", b"BETA")
    assert signer.opened_message(b"channel", changed)[1] is False


def test_without_a_key_nothing_is_signed_and_all_is_believed() -> None:
    nobody, message = Signer([]), SPACE.changed("one", [A])
    assert nobody.signed_message(b"channel", message) == message
    assert nobody.opened_message(b"channel", message) == (message, True)


# ------------------------------------------------------------------------------------------------------------- pending


def test_the_last_notice_of_a_writer_for_a_key_waits() -> None:
    pending = PendingNotices()
    assert (bool(pending), len(pending)) == (False, 0)
    under_way, done, other = Notice(A, b"w", 5.0), Notice(A, b"w", None), Notice(A, b"v", 5.0)
    pending.add([under_way, other])
    pending.add([done])
    assert (bool(pending), len(pending)) == (True, 2)
    assert set(pending.all()) == {done, other}
    assert len(pending) == 2
    notices, overflowed = pending.take()
    assert (set(notices), overflowed) == ({done, other}, False)
    assert (bool(pending), pending.take()) == (False, ([], False))


def test_notices_that_are_put_back_replace_no_later_one() -> None:
    pending, early, late, other = PendingNotices(), Notice(A, b"w", 5.0), Notice(A, b"w", None), Notice(B, b"w", 5.0)
    pending.add([late])
    pending.put_back([early, other], overflowed=False)
    assert set(pending.all()) == {late, other}
    assert not pending.overflowed
    pending.put_back([], overflowed=True)
    pending.put_back([], overflowed=False)
    assert pending.take()[1] is True


def test_of_more_notices_than_can_wait_those_of_writes_under_way_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PENDING", 2)
    pending = PendingNotices()
    pending.add([Notice(A, b"1", None), Notice(A, b"2", 5.0)])
    assert (len(pending), pending.overflowed) == (2, False)
    pending.add([Notice(A, b"3", None)])
    assert pending.all() == [Notice(A, b"2", 5.0)]
    assert pending.overflowed
    assert pending.take() == ([Notice(A, b"2", 5.0)], True)
    pending.add([Notice(A, str(number).encode(), None) for number in range(3)])
    assert (len(pending), bool(pending)) == (0, True)
