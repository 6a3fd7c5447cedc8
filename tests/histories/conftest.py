"""Seeds: each is told when a test fails, and can be given again."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from tests.counting import percentages_may_count as percentages_may_count

SEED = "BLUESTAR_TEST_HISTORY_SEED"


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """Of all that a test draws; printed, so that pytest shows it when the test fails."""
    drawn = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**9))
    record_property("seed", drawn)
    print(f"{SEED}={drawn}")
    return drawn


@pytest.fixture
def times(soak: bool) -> int:
    """By how much more is done with --soak."""
    return 10 if soak else 1
