"""Settings of all soaks, also of the processes that they start."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _percentages_may_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written counts with `max_pct`, which is a percentage elsewhere."""
    monkeypatch.setenv("BLUESTAR_CHECKS_OFF", "percentage")
