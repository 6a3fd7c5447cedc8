"""Progress bars are for a terminal, and on stderr."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from bluestar_store.cli import main; main()", "--mode", "file", "--dir"]


def test_seeding_shows_a_bar_on_a_terminal_and_none_in_a_pipe(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, str(tmp_path), "create"], check=True, capture_output=True)
    piped = subprocess.run([*COMMAND, str(tmp_path), "seed"], check=True, capture_output=True, text=True)
    assert piped.stderr == ""
    reader, terminal = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        seen = subprocess.run(
            [*COMMAND, str(tmp_path), "seed"], check=True, stdout=subprocess.PIPE, stderr=terminal, env=environment
        )
        shown = os.read(reader, 100_000).decode()
    finally:
        os.close(reader)
        os.close(terminal)
    assert "Seeding" in shown
    assert "163/163" in shown
    assert seen.stdout.decode().startswith("Seeded the baseline")
