"""What `python -m benchmarks.hops` counts, and that it prints its table."""

from __future__ import annotations

import pytest

from benchmarks import hops
from bluestar_store.keys import ItemKeys, Key, KeyTemplate


def test_it_counts_the_packages_calls_and_where_they_change_the_module() -> None:
    template = KeyTemplate("CLIENT#{plan_id}")
    trace = hops.traced(lambda: [template.parse("CLIENT#A"), template.parse("CLIENT#B"), sorted("ba")])
    assert {call.module for call in trace.calls} <= {"keys", "lazy"}
    assert trace.parses == 2
    assert [call.depth for call in trace.calls if call.function == "KeyTemplate.parse"] == [0, 0]


def test_a_key_that_is_parsed_whole_counts_its_parts_too() -> None:
    keys = ItemKeys.of("CLIENT#{plan_id}", "CALC#{calc_type}")
    trace = hops.traced(lambda: keys.parse(Key("CLIENT#A", "CALC#match")))
    assert trace.parses == sum(call.function in hops.PARSES for call in trace.calls) > 1


def test_a_put_decodes_what_it_wrote() -> None:
    trace = hops.versioned_put()
    assert trace.decodes > 0
    assert next(iter(trace.modules)) == trace.calls[0].module


def test_it_prints_a_row_for_each_flow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["hops", "--list"])
    assert hops.main() == 0
    printed = capsys.readouterr().out
    assert all(f"| {name} | " in printed and f"\n{name}:\n" in printed for name in hops.FLOWS)


def test_it_brings_the_page_up_to_date() -> None:
    traces = {"a put": hops.Trace([hops.Call("store", "Store.put", 0), hops.Call("keys", "Key", 1)])}
    lists = "```text\nbefore, 3 modules:\na > b\n\nnow, 9 modules of a put:\nc\nd\n```\n"
    page = f"Before:\n\n| 1 |\n\nNow:\n\n| old |\n| rows |\n\n{lists}"
    now = hops.written(page, traces)
    assert now.startswith("Before:\n\n| 1 |\n\nNow:\n\n| flow |")
    assert "| a put | 2 | 2 | 1 | 0 | 0 |\n\n```text\nbefore, 3 modules:\na > b\n" in now
    assert now.endswith("now, 2 modules of a put:\nstore > keys\n```\n")
    assert hops.written(now, traces) == now
