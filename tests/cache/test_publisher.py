"""How writes are announced: what is sent where, what waits when it cannot be, and what a recovery sends."""

from __future__ import annotations

import logging
from unittest.mock import patch

import pytest

from bluestar_store.cache.redis import publisher as module
from bluestar_store.cache.redis.connection import RedisCallError
from bluestar_store.cache.redis.messages import Message, Namespace, Notice, Signer
from bluestar_store.cache.redis.publisher import WITNESS_KEY
from bluestar_store.cache.redis.stored import RELEASE
from bluestar_store.protocols import CacheKey
from tests.cache.scripted_servers import FULL, RUN, Published

A, B = ("k", 0), ("k", 1)
W = b"writer0123456789"
NEW, OLD = Namespace("new"), Namespace("old")


def blocks(made: Published) -> list[tuple[object, ...]]:
    return [command[3:] for server in made.servers.all for command in server.named("block")]


# ------------------------------------------------------------------------------------------------------------ announced


def test_a_write_is_announced_in_one_round_trip() -> None:
    made = Published()
    made.publisher.put_tombstones([A, B], W, 1.5)
    assert made.server.calls == [["block", "block", "PUBLISH"]]
    assert blocks(made) == [(NEW.redis_key(key, RUN), W, 1500) for key in (A, B)]
    assert made.server.messages() == [(NEW.channel, Message("one", (A, B), W, 1.5))]
    made.publisher.remove_tombstones([A], W)
    assert made.server.calls[1:] == [["release", "PUBLISH"]]
    assert made.server.named("release") == [("EVAL", RELEASE, 1, NEW.redis_key(A, RUN), W)]
    assert made.server.messages()[1:] == [(NEW.channel, Message("one", (A,), W))]
    assert (made.count("invalidations_out"), len(made.publisher.pending)) == (2, 0)


def test_a_write_is_announced_under_the_old_names_too() -> None:
    made = Published(legacy=True)
    made.publisher.put_tombstones([A], W, 1.5)
    assert [command[0] for command in blocks(made)] == [names.redis_key(A, RUN) for names in (NEW, OLD)]
    assert made.server.messages() == [
        (NEW.channel, Message("one", (A,), W, 1.5)),
        (OLD.channel, Message("one", (A,), W, 1.5, sent_twice=True)),
    ]


def test_a_write_is_announced_to_each_server_of_a_cluster_and_published_by_one() -> None:
    made = Published(2)
    made.publisher.put_tombstones([A, B], W, 1.5)
    assert [server.calls for server in made.servers.all] == [[["block"], ["PUBLISH"]], [["block"]]]
    assert made.server.messages() == [(NEW.channel, Message("one", (A, B), W, 1.5))]


def test_a_message_has_a_bounded_number_of_keys() -> None:
    made = Published()
    made.publisher.put_tombstones([("k", number) for number in range(module.KEYS_A_MESSAGE + 1)], W, 1)
    sizes = [len(message.cache_keys) for _, message in made.server.messages()]
    assert sizes == [module.KEYS_A_MESSAGE, 1]


def test_messages_are_signed() -> None:
    signer = Signer([b"key"])
    made = Published(signer=signer)
    made.publisher.put_tombstones([A], W, 1)
    ((_, channel, data),) = made.server.named("PUBLISH")
    assert signer.opened_message(channel, data)[1]


# ----------------------------------------------------------------------------------------------------------------- fail


def test_a_write_that_redis_delivers_without_keeping_it_is_told_so_and_waits(caplog: pytest.LogCaptureFixture) -> None:
    made = Published()
    made.server.answers["block"] = FULL
    with caplog.at_level(logging.WARNING):
        made.publisher.put_tombstones([A], W, 1.5)
        made.publisher.put_tombstones([B], W, 1.5)
    assert [message.unwritten for _, message in made.server.messages()] == [False, True, True]
    assert (made.count("unwritten"), made.count("unannounced"), made.count("outages")) == (2, 0, 1)
    assert made.client.is_open
    assert made.publisher.pending.all() == [Notice(A, W, 1001.5), Notice(B, W, 1001.5)]
    assert [record.getMessage() for record in caplog.records] == [
        "Redis keeps nothing (refused: OOM): other processes are told of writes by message alone"
    ]


def test_a_write_of_which_nobody_is_told_waits(caplog: pytest.LogCaptureFixture) -> None:
    made = Published()
    made.server.down = True
    with caplog.at_level(logging.WARNING):
        for key in (A, B):
            made.publisher.put_tombstones([key], W, 1.5)
    assert (made.count("unwritten"), made.count("unannounced"), made.count("outages")) == (0, 2, 1)
    assert len(made.publisher.pending) == 2
    assert not made.client.may_publish
    assert len(caplog.records) == 1
    assert "Redis cannot be told of a write (connection failed)" in caplog.records[0].getMessage()
    made.server.down = False
    made.publisher.put_tombstones([A], W, 1.5)  # not tried again until it is reached
    assert made.server.sent == []


def test_while_redis_is_out_of_the_path_messages_are_sent_alone() -> None:
    made = Published()
    made.client.open("a reason")
    made.publisher.remove_tombstones([A], W)
    assert made.server.calls == [["PUBLISH"]]
    assert made.server.messages()[0][1].unwritten
    assert made.publisher.pending.all() == [Notice(A, W, None)]


def test_in_a_cluster_another_server_publishes_what_one_cannot() -> None:
    made = Published(2)
    made.servers.all[0].down = True
    made.publisher.put_tombstones([A, B], W, 1.5)
    assert made.servers.all[1].calls == [["block"], ["PUBLISH"]]
    assert made.servers.all[1].messages()[0][1].unwritten
    assert made.count("unwritten") == 1
    made.servers.all[1].down = True
    assert not made.publisher.publish_changed([A])
    with pytest.raises(RedisCallError):
        made.publisher.connect()
    made.servers.all = []
    with pytest.raises(RedisCallError, match="no master"):
        made.publisher.connect()


# ---------------------------------------------------------------------------------------------------------------- other


def test_changes_by_others_are_published_under_all_names() -> None:
    made = Published(legacy=True)
    assert made.publisher.publish_changed([A])
    assert made.publisher.publish_matching("k", {"n": 1})
    assert made.server.messages() == [
        (NEW.channel, Message("one", (A,))),
        (OLD.channel, Message("one", (A,), sent_twice=True)),
        (NEW.channel, Message("one", kind="k", fields={"n": 1})),
        (OLD.channel, Message("one", kind="k", fields={"n": 1}, sent_twice=True)),
    ]
    made.server.down = True
    assert not made.publisher.publish_matching("k", {})
    assert made.client.is_open


def test_a_heartbeat_goes_to_the_channel_of_its_process() -> None:
    made = Published()
    made.publisher.send_heartbeat("n")
    assert made.server.messages() == [(NEW.own_channel("one"), Message("one", probe="n"))]
    made.server.down = True
    with pytest.raises(RedisCallError):
        made.publisher.send_heartbeat("n")
    assert not made.client.is_open


def found(*keys: CacheKey) -> list[bytes]:
    return [NEW.redis_key(key, RUN) for key in keys]


def test_values_are_removed_and_counted_page_by_page() -> None:
    made = Published()
    pages = {0: [b"7", found(A, WITNESS_KEY)], b"7": [b"0", [*found(B, ("probe",)), b"another's"]]}
    made.server.answers |= {"SCAN": lambda command: pages[command[1]], "forget": 1}
    assert list(made.publisher.held_keys()) == [A, B]
    assert made.publisher.forget(lambda key: True) == 2
    assert [command[3] for command in made.server.named("forget")] == found(A, B)
    assert made.publisher.forget(lambda key: key == B) == 1
    assert made.server.named("SCAN")[0] == ("SCAN", 0, "MATCH", NEW.pattern(RUN), "COUNT", module.SCAN_KEYS)
    made.server.down = True
    with pytest.raises(RedisCallError):
        made.publisher.forget(lambda key: True)
    assert not made.client.is_open
    made.publisher.forget_quietly(lambda key: True)
    assert made.client.is_open
    made.server.down = False
    sent = len(made.server.sent)
    made.publisher.forget_quietly(lambda key: True)
    assert len(made.server.sent) == sent


def test_keys_are_discarded_where_redis_answers() -> None:
    made = Published()
    assert made.publisher.discard([A, B])
    assert [command[3] for command in made.server.named("forget")] == found(A, B)
    made.server.down = True
    assert not made.publisher.discard([A])


# ------------------------------------------------------------------------------------------------------------- recovery


def test_a_recovery_announces_what_waits_and_closes_the_breaker() -> None:
    made = Published()
    made.server.down = True
    made.publisher.put_tombstones([A], W, 9)
    made.publisher.put_tombstones([B], W, 1)
    assert not made.publisher.recover()
    made.server.down = False
    made.clock.now += 2
    assert made.publisher.recover()
    assert made.server.calls[-1] == ["block", "release", "PUBLISH", "PUBLISH"]  # the time of B is over
    assert blocks(made) == [(NEW.redis_key(A, RUN), W, 7000)]
    assert (made.client.is_open, made.client.trusted_since, len(made.publisher.pending)) == (False, 1002, 0)
    assert made.servers.events[-1] == "refresh"


def test_a_recovery_warns_anew_of_the_next_outage(caplog: pytest.LogCaptureFixture) -> None:
    made = Published()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            made.server.down = True
            made.publisher.put_tombstones([A], W, 9)
            made.server.down = False
            assert made.publisher.recover()
    assert len(caplog.records) == 2


def test_what_a_recovery_cannot_announce_waits_on() -> None:
    made = Published()
    made.server.down = True
    made.publisher.put_tombstones([A], W, 9)
    made.server.down = False
    made.server.answers["block"] = FULL
    assert not made.publisher.recover()
    assert made.publisher.pending.all() == [Notice(A, W, 1009)]
    assert made.client.is_open


def test_a_server_that_stores_nothing_may_be_told_by_message() -> None:
    made = Published()
    made.server.down = True
    for _ in range(2):
        made.publisher.put_tombstones([A], W, 9)
    made.server.down = False
    made.server.answers["witness"] = FULL
    assert not made.client.may_publish
    assert not made.publisher.recover()
    assert made.client.may_publish
    assert made.server.calls[-1] == ["PUBLISH"]
    assert made.server.messages()[-1][1].unwritten
    sent = len(made.server.named("PUBLISH"))
    assert not made.publisher.recover()
    assert len(made.server.named("PUBLISH")) == sent
    assert len(made.publisher.pending) == 1


def test_a_server_that_delivers_nothing_either_is_not_told() -> None:
    made = Published()
    made.client.open("a reason")
    made.client.may_publish = False
    made.publisher.pending.add([Notice(A, W, None)])
    made.server.answers |= {"witness": FULL, "PUBLISH": FULL}
    assert not made.publisher.recover()
    assert not made.client.may_publish
    made.publisher.pending.take()
    assert not made.publisher.recover()
    assert made.client.may_publish  # nothing waits that could tell


def test_after_more_than_can_wait_everything_is_invalidated() -> None:
    made = Published()
    made.client.open("a reason")
    made.publisher.pending.put_back([], overflowed=True)
    made.server.answers["SCAN"] = [b"0", found(A)]
    assert made.publisher.recover()
    assert [command[3] for command in made.server.named("forget")] == found(A)
    assert made.server.messages() == [(NEW.channel, Message("one", fields={}))]
    made.client.open("another")
    made.publisher.pending.put_back([], overflowed=True)
    made.server.answers["SCAN"] = FULL
    assert not made.publisher.recover()
    assert made.publisher.pending.overflowed


def test_what_comes_to_wait_during_a_recovery_is_announced_before_its_end() -> None:
    made = Published()
    made.client.open("a reason")
    late = [Notice(A, W, None)]

    def add_late(command: object) -> int:
        if late:
            made.publisher.pending.add([late.pop()])
        return 1

    made.publisher.pending.add([Notice(B, W, None)])
    made.server.answers["release"] = add_late
    assert made.publisher.recover()
    assert len(made.server.named("release")) == 2
    assert not made.publisher.pending


# -------------------------------------------------------------------------------------------------------------- witness


def test_what_was_retained_counts_from_the_server_that_lost_last() -> None:
    made = Published(2)
    assert made.publisher.retained_seconds() == 0
    for server, retained_ms in zip(made.servers.all, (9000, 4000), strict=True):
        server.answers["witness"] = retained_ms
    made.publisher.witness()
    assert made.publisher.retained_seconds() == 4
    made.clock.now += 1
    assert made.publisher.retained_seconds() == 5
    keys = [server.named("witness")[0][3:] for server in made.servers.all]
    names = [NEW.redis_key((*WITNESS_KEY, number), RUN) for number in (0, 1)]
    assert keys == [(name, module.WITNESS_SECONDS * 1000) for name in names]


def test_a_server_alone_has_one_witness() -> None:
    made = Published()
    made.publisher.witness()
    assert made.server.named("witness")[0][3] == NEW.redis_key(WITNESS_KEY, RUN)


def test_a_server_that_refuses_writes_is_left_but_not_one_that_is_silent() -> None:
    made = Published()
    made.publisher.check_writable()
    made.server.down = True
    made.publisher.check_writable()
    assert not made.client.is_open
    made.server.down = False
    made.server.answers["witness"] = FULL
    made.publisher.check_writable()
    assert made.client.is_open


def test_a_master_without_slots_has_no_witness() -> None:
    made = Published(2)
    with (
        patch.object(made.servers, "server_for", lambda key: made.servers.all[0]),
        pytest.raises(RedisCallError, match="no slots"),
    ):
        made.publisher.witness()


def test_a_forked_child_has_nothing_to_announce() -> None:
    made = Published()
    made.server.answers["witness"] = 9000
    made.publisher.witness()
    made.publisher.pending.add([Notice(A, W, None)])
    made.publisher.reset()
    assert (len(made.publisher.pending), made.publisher.retained_seconds()) == (0, 0)
    assert made.servers.events[-1] == "reset"
