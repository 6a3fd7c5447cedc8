"""`python -m benchmarks.hops`: how far three flows go through the package, for ARCHITECTURE.md.

Each flow is made once before it is traced, so that nothing is counted that is made once a process. Of calls of the
package's own functions it counts: calls, modules, changes of module (a call in another module than the call before),
decodes of the item that is decoded most often, and parses of keys. `--list` prints each module that a flow comes into,
with the function by which it does so first, and `--calls` all calls, indented.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from typer.testing import CliRunner

import bluestar_store
from bluestar_store import CalculationRule, Settings, Store, seeding
from bluestar_store.cli import app

PACKAGE = str(Path(bluestar_store.__file__).parent) + "/"
ROOT = Path(__file__).parent.parent
DEMO = ROOT / "fixtures" / "demo"
PAGE = ROOT / "ARCHITECTURE.md"
DECODES = ("Kind.decode", "Mapper.decode")
PARSES = ("ItemKeys.parse", "ItemKeys._parsed_sort", "KeyTemplate.parse")
INNER = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
"""No calls of their own from Python 3.12 on, but for the first."""


class Call(NamedTuple):
    """A call of one of the package's functions."""

    module: str
    function: str
    depth: int


@dataclass
class Trace:
    """What was called, in order."""

    calls: list[Call] = field(default_factory=list)
    decoded: Counter[tuple[str, str]] = field(default_factory=Counter)
    _depth: int = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """What `sys.setprofile` wants."""
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(PACKAGE) or code.co_name in INNER:
            return
        if event == "return":
            self._depth = max(self._depth - 1, 0)
            return
        module = code.co_filename.removeprefix(PACKAGE).removesuffix(".py").replace("/__init__", "").replace("/", ".")
        self.calls.append(Call(module, code.co_qualname.replace(".<locals>", ""), self._depth))
        self._depth += 1
        if code.co_qualname in DECODES:
            item = frame.f_locals["item"]
            self.decoded[item["PK"]["S"], item["SK"]["S"]] += 1

    @property
    def modules(self) -> dict[str, str]:
        """Each module, in order, with the function by which the flow first comes into it."""
        found: dict[str, str] = {}
        for call in self.calls:
            found.setdefault(call.module, call.function)
        return found

    @property
    def changes(self) -> int:
        """How often a call is in another module than the one before."""
        return sum(one.module != other.module for one, other in pairwise(self.calls))

    @property
    def decodes(self) -> int:
        """Of the item that is decoded most often."""
        return max(self.decoded.values(), default=0)

    @property
    def parses(self) -> int:
        """Of keys, whole or in part."""
        return sum(call.function in PARSES for call in self.calls)


def traced(flow: Callable[[], object]) -> Trace:
    """What a call of it goes through."""
    trace = Trace()
    sys.setprofile(trace)
    try:
        flow()
    finally:
        sys.setprofile(None)
    return trace


@contextmanager
def small_store() -> Iterator[Store]:
    """In memory, with the baseline rules and one rule of a plan's own."""
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        seeding.load(store, seeding.baseline())
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(4)))
        yield store


def cached_read() -> Trace:
    """A rule that the plan has none of its own of, out of the process."""
    with small_store() as store:
        store.calculation_rules.get("NEWCO", "match")
        return traced(lambda: store.calculation_rules.get("NEWCO", "match"))


def missed_read() -> Trace:
    """The same from the table: the plan's own is looked for, GLOBAL's is in the process."""
    with small_store() as store:
        store.calculation_rules.get("NEWCO", "match")
        return traced(lambda: store.calculation_rules.get("OTHERCO", "match"))


def versioned_put() -> Trace:
    """A change of a rule that was read: one transaction with the entry in its trail."""
    with small_store() as store:
        rule = store.calculation_rules.get("ACME", "match")
        rule = store.calculation_rules.put(rule.model_copy(update={"max_pct": Decimal(5)}))
        changed = rule.model_copy(update={"max_pct": Decimal(6)})
        return traced(lambda: store.calculation_rules.put(changed))


def seed_from() -> Trace:
    """`bluestar-store seed --from fixtures/demo`, into a folder that has the baseline."""
    with tempfile.TemporaryDirectory() as folder:
        run = CliRunner()

        def command(place: str, *words: str) -> None:
            done = run.invoke(app, ["--mode", "file", "--dir", f"{folder}/{place}", *words])
            if done.exit_code:
                raise RuntimeError(done.output)

        for place in ("first", "traced"):
            command(place, "create")
            command(place, "seed")
        command("first", "seed", "--from", str(DEMO))
        return traced(lambda: command("traced", "seed", "--from", str(DEMO)))


FLOWS: dict[str, Callable[[], Trace]] = {
    "cached read with fallback": cached_read,
    "read with fallback, a miss": missed_read,
    "versioned put with trail": versioned_put,
    "seed --from": seed_from,
}


def table(traces: Mapping[str, Trace]) -> Iterator[str]:
    """A row for each flow, in Markdown."""
    yield "| flow | calls | modules | changes of module | decodes of one item | key parses |"
    yield "|---|---|---|---|---|---|"
    for name, trace in traces.items():
        figures = (len(trace.calls), len(trace.modules), trace.changes, trace.decodes, trace.parses)
        yield f"| {name} | {' | '.join(f'{figure:,}' for figure in figures)} |"


def written(page: str, traces: Mapping[str, Trace]) -> str:
    """ARCHITECTURE.md with the figures and modules of now: the table behind "Now:", and the lists called "now"."""
    rows = "".join(f"{row}\n" for row in table(traces))
    page = re.sub(r"(?<=\nNow:\n\n)(?:\|.*\n)+", rows, page)
    for name, trace in traces.items():
        found = "\n".join(textwrap.wrap(" > ".join(trace.modules), 118, break_long_words=False))
        now = f"now, {len(trace.modules)} modules of {name}:\n{found}\n"
        page = re.sub(rf"now, \d+ modules of {re.escape(name)}:\n[^`]*(?=```)", now, page)
    return page


def main() -> int:
    """Print the table, and with `--list` or `--calls` what it is made of."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hops", description=__doc__)
    parser.add_argument("--list", action="store_true", help="each module, with the function that the flow enters it by")
    parser.add_argument("--calls", action="store_true", help="every call, indented by its depth")
    parser.add_argument("--write", action="store_true", help="the figures and lists of now into ARCHITECTURE.md")
    arguments = parser.parse_args()
    traces = {name: flow() for name, flow in FLOWS.items()}
    if arguments.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), traces), encoding="utf-8")
    lines = [*table(traces)]
    for name, trace in traces.items():
        if arguments.list:
            entered = enumerate(trace.modules.items(), 1)
            lines += [f"\n{name}:", *(f"{number:3} {module} {function}" for number, (module, function) in entered)]
        if arguments.calls:
            lines += [f"\n{name}:", *(f"{'  ' * call.depth}{call.module} {call.function}" for call in trace.calls)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
