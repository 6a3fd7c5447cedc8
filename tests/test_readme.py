"""README is true: its Python prints what it says, and its commands work."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def test_its_python_prints_what_it_says() -> None:
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, "README.md", "exec"), namespace)  # noqa: S102  # the README is ours
        promised = [line.removeprefix("#> ") for line in block.splitlines() if line.startswith("#> ")]
        assert printed.getvalue().splitlines() == promised


@pytest.mark.slow
def test_its_commands_work(tmp_path: Path) -> None:
    """`make` and `pip` run in CI; here, the commands of bluestar-store."""
    (block,) = (text for text in blocks("sh") if "bluestar-store" in text)
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    script = "set -e\n" + block.replace("build/readme-", f"{tmp_path}/")
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=README.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"max_401k": 24500' in done.stdout


def test_it_is_short_and_its_links_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") < 150
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if "://" not in link and not (README.parent / link).exists()] == []
