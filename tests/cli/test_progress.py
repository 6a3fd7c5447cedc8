"""Progress bars are for a terminal, and on stderr."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import on_a_terminal

COMMAND = [sys.executable, "-c", "from bluestar_store.cli import main; main()", "--mode", "file", "--dir"]


def test_seeding_shows_a_bar_on_a_terminal_and_none_in_a_pipe(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, str(tmp_path), "create"], check=True, capture_output=True)
    piped = subprocess.run([*COMMAND, str(tmp_path), "seed"], check=True, capture_output=True, text=True)
    assert piped.stderr == ""
    printed, shown = on_a_terminal([*COMMAND, str(tmp_path), "seed"], tmp_path)
    assert "Seeding" in shown
    assert "163/163" in shown
    assert printed.startswith("Seeded the baseline")
