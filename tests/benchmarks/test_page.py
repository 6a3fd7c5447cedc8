"""What a run leaves behind: the page in the docs, its drawing, its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from pydantic import TypeAdapter

from benchmarks.page import write_page
from benchmarks.plot import svg
from benchmarks.report import Goal, Line, Run

DOCS = Path(__file__).parents[2] / "docs"
LINES = (
    Line("reading", "bluestar-store", "µs", 10, p99=12, cpu=8),
    Line("reading", "boto3 <get>", "µs", 20, p99=24, cpu=16, ratio=0.5, cpu_ratio=0.5, goals=(Goal("ratio", 0.6),)),
    Line("reading", "another", "µs", 4, ratio=2.5, goals=(Goal("ratio", 1.0),)),
    Line("reading", "unjudged", "µs", 4, ratio=2.5),
)
RUN = Run(LINES, "2026-01-02T03:04:05+00:00", False, "3.12.1", "Linux x86_64", 2, {"boto3": "1.44.5"})


def test_the_drawing_has_a_bar_for_each_judged_ratio() -> None:
    root = ElementTree.fromstring(svg(LINES))  # noqa: S314  # of our own making
    bars = [found.get("class") for found in root.iter("{http://www.w3.org/2000/svg}rect")]
    texts = ["".join(found.itertext()) for found in root.iter("{http://www.w3.org/2000/svg}text")]
    assert bars == ["met", "missed"]
    assert "reading / boto3 <get>" in texts
    assert "2.50" in texts
    assert "prefers-color-scheme: dark" in svg(LINES)


def test_the_page_keeps_its_words_and_changes_its_figures(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n", encoding="utf-8")
    for _ in range(2):
        write_page(RUN, tmp_path)
        text = page.read_text(encoding="utf-8")
        assert text.startswith(
            "before\n<!-- figures -->\n`make bench`, ended 2026-01-02T03:04:05+00:00, on Linux x86_64"
        )
        assert "| reading | bluestar-store | 10.00 µs | 12.00 | 8.00 |  |  |  |" in text
        assert "|  | another | 4.00 µs |  |  | 2.50 |  | ratio <= 1: MISSED |" in text
        assert "old" not in text
        assert text.endswith("<!-- end of figures -->\nafter\n")
    written = (tmp_path / "benchmarks.json").read_bytes()
    assert json.loads(written)["lines"][2]["missed"] is True
    write_page(TypeAdapter(Run).validate_json(written), tmp_path)
    assert (tmp_path / "benchmarks.json").read_bytes() == written


def test_the_page_in_the_docs_shows_the_figures_of_its_json(tmp_path: Path) -> None:
    """`make bench-docs` writes all three."""
    run = TypeAdapter(Run).validate_json((DOCS / "benchmarks.json").read_bytes())
    (tmp_path / "benchmarks.md").write_bytes((DOCS / "benchmarks.md").read_bytes())
    write_page(run, tmp_path)
    for name in ("benchmarks.md", "benchmarks.svg", "benchmarks.json"):
        assert (DOCS / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(encoding="utf-8")
