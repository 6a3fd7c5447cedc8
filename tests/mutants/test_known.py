"""The mutants that were made by hand are still changes of what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.known import KNOWN, Known

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", KNOWN, ids=[mutant.name for mutant in KNOWN])
def test_a_known_mutant_changes_one_place_of_its_file_and_names_tests_that_are_there(mutant: Known) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert all((ROOT / test).is_file() for test in mutant.tests)
