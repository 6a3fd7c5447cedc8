"""What a write compares of an entity of a user's own: each field, a hundred at most."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import create_model
from pynamodb.attributes import UnicodeAttribute

from bluestar_store import ConfigurationError, NotFoundError, PersistenceMode, Settings, Store, VersionConflictError
from bluestar_store.extending import (
    Document,
    DocumentAttribute,
    Entity,
    IntegerAttribute,
    ItemKeys,
    ItemModel,
    LevelModel,
    Mapper,
    PlanEntity,
)
from bluestar_store.models.registry import with_kinds


@pytest.fixture(params=["memory", "dynamo"])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    if request.param == "memory":
        yield Settings(persistence_mode=PersistenceMode.MEMORY)
        return
    url = request.getfixturevalue("dynamodb_local_url")
    suffix = f"-{uuid.uuid4().hex[:12]}"
    yield Settings(dynamodb_endpoint_url=url, aws_region="us-east-1", table_suffix=suffix, table_layout="single")


def wide(count: int) -> Mapper[Any]:
    """A kind of so many fields."""
    names = [f"field_{number}" for number in range(count - 2)]
    fields: dict[str, Any] = {"plan_id": (str, ...), "year": (int, ...)} | dict.fromkeys(names, (str | None, None))
    entity = create_model("Wide", __base__=PlanEntity, **fields)
    attributes: dict[str, Any] = {name: UnicodeAttribute(null=True) for name in ("plan_id", *names)}
    attributes |= {"year": IntegerAttribute(null=True), "Meta": type("Meta", (), {"table_name": "wide"})}
    model = type("WideModel", (LevelModel,), attributes)
    keys = ItemKeys.of("WIDE#{plan_id:DEFAULT}", "WIDTH#{year:04d}")
    return Mapper("wide", entity, model, keys, NotFoundError)


class Note(Entity):
    name: str
    content: Document | None = None


class NoteModel(ItemModel):
    class Meta:
        table_name = "notes"

    name = UnicodeAttribute(null=True)
    content = DocumentAttribute(null=True)


NOTE = Mapper("note", Note, NoteModel, ItemKeys.of("NOTE#{name}", "NOTE"), NotFoundError)


def test_an_entity_of_more_fields_than_a_write_can_compare_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="kind wide: Wide has 101 fields"):
        with_kinds([wide(101)])


def test_a_hundred_fields_are_compared_whether_they_are_there_or_not(settings: Settings) -> None:
    mapper = wide(100)
    with Store.open(settings, kinds=[mapper]) as store:
        store.create_tables()
        repository = store.repository(mapper)
        none = repository.put(mapper.made(plan_id="ACME", year=2026))
        every = {f"field_{number}": "x" for number in range(98)}
        all_of_them = repository.put(none.model_copy(update=every))
        assert repository.put(all_of_them.model_copy(update={"field_0": None})).version == 3
        with pytest.raises(VersionConflictError):
            repository.put(all_of_them)


def test_a_truth_value_that_becomes_a_number_differs(settings: Settings) -> None:
    """In Python True equals 1, and on disk it does not."""
    with Store.open(settings, kinds=[NOTE]) as store:
        store.create_tables()
        notes = store.repository(NOTE)
        made = notes.put(Note(name="n", content={"ok": True, "count": 1}))
        changed = notes.put(made.model_copy(update={"content": {"ok": 1, "count": True}}))
        assert changed.origin is not None
        assert changed.origin.item["content"] == {"M": {"ok": {"N": "1"}, "count": {"BOOL": True}}}
