"""macOS and Windows as far as this machine can tell: what they lack is taken away from this Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.testing.environment import with_fake_aws, without_settings
from tests.child_processes import ROOT

REFUSED = " needs Linux or macOS (on Windows: WSL); DynamoDB, memory, S3 and Azure work everywhere"
SHOWN = {
    "create": "Tables in ",
    "seed": "Seeded the baseline: added 163,",
    "seed --from fixtures/demo": "Seeded fixtures/demo: added 33,",
    "inspect pipeline ACME BiWeeklyFri": "Pipeline of ACME, BiWeeklyFri: 12 steps",
    "inspect rules ACME": "Calculation rules for ACME",
    "inspect rules NEWCO": "Calculation rules for NEWCO",
}
"""The demo's commands, and what each begins with."""


def used_on(platform: str, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What came of each thing that tests/platform_process.py does."""
    without_settings(patch)
    with_fake_aws(patch)
    command = [sys.executable, "-m", "tests.platform_process", platform, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


def check_demo(found: dict[str, Any]) -> None:
    for command, begin in SHOWN.items():
        code, shown, said = found.pop(command)
        assert (code, said) == (0, ""), command
        assert shown.startswith(begin)


@pytest.mark.slow
def test_macos_works_whole_and_what_is_promised_is_past_the_drives_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = used_on("darwin", tmp_path, monkeypatch)
    check_demo(found)
    assert found.pop("full syncs") > 100
    assert found == {"imports": [], "limits": "24500", "files": ["a/c"]}


@pytest.mark.slow
def test_on_windows_dynamodb_memory_the_command_and_the_plugin_work_and_the_rest_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = used_on("win32", tmp_path, monkeypatch)
    check_demo(found)
    assert found["imports"] == []
    assert found["memory"] == found["dynamo"] == ["24500", 1]
    assert found["file"] == found["documents"] == f"ConfigurationError: mode file{REFUSED}"
    assert found["files"] == f"ConfigurationError: a local folder of files (file:///){REFUSED}"
    assert found["unix"].startswith("ConfigurationError: BLUESTAR_REDIS_URL:")
    assert [found[command][::2] for command in ("seed --plan", "export", "import")] == [[0, ""]] * 3
    assert found["create --mode file"] == [1, "", f"error: mode file{REFUSED}\n"]
    assert found["plugin"][0] == 0, found["plugin"]
    assert set(found["left"]) <= {"export", "plan.json", "test_agent.py", "__pycache__"}
