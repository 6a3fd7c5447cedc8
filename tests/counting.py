"""For folders whose tests count with `max_pct`, which is a percentage elsewhere: their conftests import this."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def percentages_may_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the processes that a test starts."""
    monkeypatch.setenv("BLUESTAR_CHECKS_OFF", "percentage")
