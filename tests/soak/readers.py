"""A process that reads all the time, and is told to say how its cache fares and to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from tests.child_processes import ROOT
from tests.soak.load import FRESH, Read

Stats: TypeAlias = Mapping[str, Any]


class ReaderProcess:
    """See tests/soak/reader_process.py."""

    def __init__(self, options: Mapping[str, Any], readers: int, seed: int, fresh: float = FRESH) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.soak.reader_process",
                json.dumps(options),
                str(readers),
                str(seed),
                str(fresh),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def stats(self) -> Stats:
        """Its cache's."""
        return dict(self._ask("stats"))

    def ready(self) -> None:
        """Wait until its threads run."""
        assert self._answer() == "ready"

    def end(self, file: Path) -> tuple[list[list[Read]], list[str]]:
        """End it: what its threads read, and what failed."""
        assert self._ask(f"end {file}") == "done"
        done = json.loads(file.read_text(encoding="utf-8"))
        return done["reads"], done["failures"]

    def suspend(self) -> None:
        """SIGSTOP: it does nothing, and no time passes for it."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Whatever it does, it is gone afterwards."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the reader process died: see stderr"
        return json.loads(line)
