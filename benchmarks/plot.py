"""The judged ratios as a drawing: a bar for what ours took of each peer's time, and a tick where the target is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from benchmarks.report import Line

MOST = 1.6
"""What the width of the plot stands for; a longer bar ends there, before its figure."""
TEXT, WIDTH, RIGHT, ROW, TOP = 400, 320, 60, 22, 44
"""Pixels: of the labels, the plot, the figures beside it; of a row; and above the first one."""

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.head { font-weight: 600; } .soft { fill: #57606a; }
.met { fill: #2da44e; } .missed { fill: #cf222e; } .one { stroke: #57606a; stroke-dasharray: 3 3; }
.goal { stroke: #24292f; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .soft { fill: #9198a1; } .goal { stroke: #e6edf3; } .one { stroke: #9198a1; }
  .met { fill: #3fb950; } .missed { fill: #f85149; }
}
""".strip()


def svg(lines: Iterable[Line]) -> str:
    """The drawing; the same figures give the same text."""
    rows = [(line, line.ratio, goal.most) for line in lines for goal in line.goals if goal.figure == "ratio"]
    height = TOP + ROW * len(rows) + 8
    whole = TEXT + WIDTH + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {height}" width="{whole}" height="{height}" '
        'role="img" aria-label="bluestar-store beside its peers">',
        f"<style>{STYLE}</style>",
        '<text x="4" y="16" class="head">What bluestar-store takes of each peer\'s time or memory</text>',
        '<text x="4" y="34" class="soft">shorter is better; the dashed line is the peer, the tick our target</text>',
        f'<line x1="{_x(1)}" x2="{_x(1)}" y1="{TOP - 4}" y2="{height - 8}" class="one"/>',
    ]
    for number, (line, ratio, most) in enumerate(rows):
        parts += _row(line, ratio or 0, most, TOP + ROW * number)
    return "\n".join([*parts, "</svg>", ""])


def _row(line: Line, ratio: float, most: float, top: int) -> Sequence[str]:
    kept = "met" if ratio <= most else "missed"
    bar = _x(min(ratio, MOST)) - TEXT
    return (
        f'<text x="4" y="{top + 14}">{escape(line.work)} <tspan class="soft">/ {escape(line.who)}</tspan></text>',
        f'<rect x="{TEXT}" y="{top + 4}" width="{bar}" height="12" rx="2" class="{kept}"/>',
        f'<line x1="{_x(most)}" x2="{_x(most)}" y1="{top + 1}" y2="{top + 19}" class="goal"/>',
        f'<text x="{TEXT + WIDTH + 8}" y="{top + 14}">{ratio:.2f}</text>',
    )


def _x(ratio: float) -> int:
    return TEXT + round(WIDTH * ratio / MOST)
