"""Earlier releases as processes beside the working tree: each is taken out of the repository's own history."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest

from bluestar_store import Store
from tests.child_processes import ROOT

RELEASES = {"0.1.0": "9f37205082e9563a22a96276b6d3b8e90eddb5a6"}
"""Each with its commit."""

P = ParamSpec("P")
T = TypeVar("T")


def python_of(release: str, folder: Path) -> Path:
    """A Python that imports the release, and what this one has of everything else; made in an empty folder.

    Skips the test where the repository's history has no such commit.
    """
    commit = RELEASES[release]
    git = shutil.which("git")
    if git is None:
        pytest.skip(f"{release} is taken from the repository's history by git, which is not on PATH")
    tree = folder / "tree"
    tree.mkdir()
    archive = folder / "tree.tar"
    # pyproject.toml besides, so that the folder says what it is.
    command = [git, "-C", str(ROOT), "archive", f"--output={archive}", commit, "bluestar_store", "pyproject.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{release} is not in this clone's history ({commit[:7]}): {done.stderr.strip()}")
    shutil.unpack_archive(archive, tree, filter="data")
    home = folder / "venv"
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    # Our own packages after the tree. Python reads no .pth files there: an editable install of ours is not found.
    ours = sysconfig.get_path("purelib")
    (packages / "release.pth").write_text(f"{tree}\n{ours}\n", encoding="utf-8")
    return home / "bin" / "python"


class JobError(Exception):
    """A job raised; `kind` is the name of its error."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Partner:
    """A process of a release, which does the jobs of jobs.py one after the other."""

    def __init__(self, name: str, python: Path) -> None:
        self.name = name
        here = Path(__file__).parent
        command = [str(python), str(here / "partner.py"), str(here)]
        # Not in the root, where `bluestar_store` would be the working tree's.
        self._process = subprocess.Popen(
            command, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def open(self, settings: Mapping[str, Any]) -> None:
        """From now on the jobs are given a Store of these settings."""
        self._ask("open", [dict(settings)])

    def do(self, job: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a job; what it gives. Raises JobError."""
        assert not kwargs, "arguments go by position"
        answer: T = self._ask(job.__name__, args)
        return answer

    def _ask(self, name: str, arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name} died: see stderr"
        said = json.loads(line)
        if "error" in said:
            raise JobError(said["error"], said["text"])
        return said["answer"]

    def close(self) -> None:
        """Whatever it does, it is gone afterwards."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def __repr__(self) -> str:
        return self.name


@contextmanager
def partner(name: str, python: Path) -> Iterator[Partner]:
    """One that is ended with the block."""
    started = Partner(name, python)
    try:
        yield started
    finally:
        started.close()


@contextmanager
def working_tree() -> Iterator[Partner]:
    """A process of what is being worked on."""
    with partner("working tree", Path(sys.executable)) as started:
        yield started
