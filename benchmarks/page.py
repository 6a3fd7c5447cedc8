"""docs/benchmarks.md: its table and its drawing are those of one run; the words around them stay."""

from __future__ import annotations

from pathlib import Path

from benchmarks.plot import svg
from benchmarks.report import HEADS, TEXTS, Run, cells, save

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write_page(run: Run, folder: Path) -> None:
    """Put a run's figures into benchmarks.md of the folder, and its drawing and JSON beside it."""
    page = folder / "benchmarks.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{figures(run)}\n{END}{after}", encoding="utf-8")
    (folder / "benchmarks.svg").write_text(svg(run.lines), encoding="utf-8")
    save(run, folder / "benchmarks.json")


def figures(run: Run) -> str:
    """When and on what was measured, and the table, in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    command = "make bench-quick" if run.quick else "make bench"
    measured = f"`{command}`, ended {run.at}, on {run.system} with {run.cores} cores, Python {run.python}; {versions}."
    rules = tuple("---" if name in TEXTS else "--:" for name in HEADS)
    rows = [HEADS, rules, *(row for _, row in cells(run.lines))]
    return "\n".join([measured, "", *("| " + " | ".join(row) + " |" for row in rows)])
