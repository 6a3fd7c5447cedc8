"""Writes that expect an item to fit, without having read it."""

from __future__ import annotations

import pytest

from bluestar_store.errors import ConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, ANY, Check, Engine, Fit, Fits, Put, Update
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item

KEY = Key("A", "A")
OPEN = Fit("open", "one of", ({"N": "0"}, {"N": "1"}))
NOT_OVER = Fit("status", "none of", ({"S": "DONE"}, {"S": "GONE"}))
HAS_TWO = Fit("steps", "contains", ({"N": "2"},))
RUNS = Fit("status", "one of", ({"S": "RUNNING"}, {"S": "WAITING"}), required=True)


class FitsSuite(EngineCase):
    """`Fits`, the expectation of a write that depends on a part of an item."""

    def test_an_item_that_is_not_there_or_lacks_the_attribute_fits(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        expect = Fits((OPEN, NOT_OVER, HAS_TWO))
        engine.write(Check(table, KEY, expect), Put(table, item("B", version=1), ABSENT))
        door.put(table, item("A", other="x"))
        engine.write(Check(table, KEY, expect))

    @pytest.mark.parametrize(
        ("fit", "good", "bad"),
        [
            (OPEN, {"N": "1.0"}, {"N": "2"}),
            (OPEN, {"N": "0"}, {"S": "0"}),
            (NOT_OVER, {"S": "RUNNING"}, {"S": "GONE"}),
            (NOT_OVER, {"N": "1"}, {"S": "DONE"}),
            (HAS_TWO, {"NS": ["1", "2"]}, {"NS": ["1", "22"]}),
            (HAS_TWO, {"NS": ["2"]}, {"S": "2"}),
            (RUNS, {"S": "WAITING"}, {"S": "DONE"}),
        ],
    )
    def test_an_attribute_fits_or_nothing_is_written(
        self, engine: Engine, door: SideDoor, table: str, fit: Fit, good: dict[str, str], bad: dict[str, str]
    ) -> None:
        other = Put(table, item("B", version=1), ANY)
        door.put(table, {**item("A", version=7), fit.attribute: good})
        engine.write(Check(table, KEY, Fits((fit,))), other)
        engine.write(Update(table, KEY, {"seen": {"S": "yes"}}, expect=Fits((fit,))))
        door.put(table, {**item("A", version=7), fit.attribute: bad})
        for write in (Check(table, KEY, Fits((fit,))), Update(table, KEY, {"seen": {"S": "no"}}, expect=Fits((fit,)))):
            with pytest.raises(ConflictError) as caught:
                engine.write(Put(table, item("C", version=1), ANY), write)
            assert caught.value.place == (table, KEY)
        assert engine.get(table, [Key("C", "C")], consistent=True) == {}
        assert "seen" not in engine.get(table, [KEY], consistent=True)[KEY]

    def test_an_attribute_that_is_required_has_to_be_there(self, engine: Engine, door: SideDoor, table: str) -> None:
        check = Check(table, KEY, Fits((RUNS, HAS_TWO)))
        for found in (None, item("A", other="x")):
            if found is not None:
                door.put(table, found)
            with pytest.raises(ConflictError):
                engine.write(check, Put(table, item("B", version=1), ABSENT))
        door.put(table, {**item("A"), "status": {"S": "RUNNING"}})
        engine.write(check, Put(table, item("B", version=1), ABSENT))

    def test_all_tests_have_to_be_passed(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, {**item("A"), "open": {"N": "0"}, "status": {"S": "DONE"}})
        engine.write(Check(table, KEY, Fits((OPEN,))))
        with pytest.raises(ConflictError):
            engine.write(Check(table, KEY, Fits((OPEN, NOT_OVER))))
