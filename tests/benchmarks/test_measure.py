"""How contenders are compared."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks import peers
from benchmarks.measure import Contender, Timing, WrongAnswerError, compare, lines, race, repeated
from benchmarks.processes import Command, race_of_processes
from bluestar_store import Settings


def test_a_contender_with_a_wrong_answer_stops_the_run() -> None:
    with pytest.raises(WrongAnswerError, match="liar gave 2"):
        compare("adding", [repeated("liar", lambda: 2, lambda answer: answer == 3)], {}, rounds=3, calls=1)


def test_in_each_round_every_contender_works_once_and_another_one_begins() -> None:
    order: list[str] = []

    def contender(name: str) -> Contender:
        return Contender(name, lambda calls: order.append(name), lambda answer: True)

    asyncio.run(race([contender("a"), contender("b")], rounds=3, calls=1))
    assert order[-6:] == ["a", "b", "b", "a", "a", "b"]


def test_the_ratio_is_the_median_over_the_rounds() -> None:
    ours, peer = Timing([1e3, 9e3, 3e3], [1e3, 1e3, 1e3]), Timing([2e3, 3e3, 4e3], [4e3, 4e3, 4e3])
    line = lines("work", {"ours": ours, "peer": peer}, {"peer": 0.7})[1]
    assert (line.ratio, line.cpu_ratio, line.median, line.missed) == (0.75, 0.25, 3.0, True)


def test_a_process_that_prints_something_else_stops_the_run() -> None:
    with pytest.raises(WrongAnswerError, match="echo gave 0: hello"):
        race_of_processes([Command("echo", ("echo", "hello"), "goodbye")], rounds=1)


def test_a_peer_that_is_not_installed_is_left_out_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers.installed.cache_clear()
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    settings = Settings(aws_region="us-east-1", dynamodb_endpoint_url="http://127.0.0.1:1")
    for _ in range(2):
        found = [peer.name for peer in peers.every(settings, peers.Tables("rules", "steps"))]
    peers.installed.cache_clear()
    assert found == ["PynamoDB", "boto3 client", "boto3 Table"]
    assert [line.split(" is not")[0] for line in capsys.readouterr().err.splitlines()] == ["dyntastic", "pydynox"]
