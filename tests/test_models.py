"""Each entity and its Model say the same, and say it with the names that lie on disk in production."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.config import AchConfigModel
from bluestar_store.models.registry import KINDS
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import OWN_PREFIX
from bluestar_store.settings import TableLayout

ON_DISK: dict[str, tuple[str, str]] = {
    "pipeline-step": (
        "processing-pipeline",
        "plan_id pay_freq stepOrder subroutineName agent enabled required description timeoutSeconds",
    ),
    "validation-rule": (
        "validation-rules",
        "category plan_id number field pattern check message severity enabled",
    ),
    "calculation-rule": (
        "calculation-rules",
        "plan_id calc_type formula max_pct age_threshold description",
    ),
    "irs-limits": (
        "irs-limits",
        "year max_401k catch_up super_catch_up comp_limit annual_addition hce_threshold key_employee "
        "roth_catch_up_wage source",
    ),
    "client-config": ("agent-config", "plan_id pay_freq custodian deadline_hour"),
    "ach-config": ("agent-config", "plan_id pay_freq ach_method bank_id account_number routing_number"),
    "plan-key": ("agent-config", "plan_id key_id wrapped created dropped"),
    "vendor-schema": ("vendor-schema-mapping", "vendor_id fingerprint columns mapping plan_id pay_freq created"),
    "plan-hold": ("batch-state", "plan_id hold_id reason created created_by released released_by batch_id"),
    "batch-rules": ("processing-metadata", "batch_id digest items"),
    "hold-guard": ("batch-state", "plan_id open_holds"),
    "batch-state": (
        "processing-metadata",
        "batch_id plan_id pay_freq year status current_step rules_digest created updated",
    ),
    "step-result": ("processing-metadata", "batch_id step result digest worker saved"),
    "step-claim": ("processing-metadata", "batch_id step worker fence claimed expires"),
    "chain-head": ("processing-metadata", "batch_id table partition seq hash"),
    "audit-entry": ("processing-metadata", "batch_id table partition seq actor action at details previous hash"),
    "free-state": ("processing-metadata", "batch_id state saved"),
    "free-result": ("processing-metadata", "batch_id step result saved"),
}
"""Table and attribute names as production has them, and for the library's own items what they began with."""

INDEXES = {
    "processing-pipeline": {"by_level"},
    "validation-rules": {"by_level"},
    "calculation-rules": {"by_level"},
    "irs-limits": {"by_level"},
    "agent-config": {"by_level"},
    "vendor-schema-mapping": {"by_level"},
    "batch-state": {"open_holds"},
    "processing-metadata": {"by_plan"},
}

each_kind = pytest.mark.parametrize("mapper", KINDS, ids=lambda mapper: mapper.name)


@each_kind
def test_an_entity_has_the_fields_that_its_model_has_attributes(mapper: Mapper[Any]) -> None:
    attributes = mapper.model.get_attributes()
    known = [name for name in attributes if name not in ("PK", "SK", "version") and not name.startswith(OWN_PREFIX)]
    assert sorted(known) == sorted(mapper.entity.model_fields)
    assert list(mapper.attributes) == list(mapper.entity.model_fields)


@each_kind
def test_names_on_disk_are_those_of_the_design(mapper: Mapper[Any]) -> None:
    table, names = ON_DISK[mapper.name]
    assert mapper.table == mapper.model.Meta.table_name == table
    assert sorted(attribute.attr_name for attribute in mapper.attributes.values()) == sorted(names.split())


@each_kind
def test_only_keys_are_sure_to_be_there(mapper: Mapper[Any]) -> None:
    required = {name for name, attribute in mapper.model.get_attributes().items() if not attribute.null}
    assert required == {"PK", "SK"}


@each_kind
def test_a_key_is_text_and_a_version_a_number(mapper: Mapper[Any]) -> None:
    attributes = mapper.model.get_attributes()
    assert (attributes["PK"].attr_name, attributes["PK"].attr_type, attributes["PK"].is_hash_key) == ("PK", "S", True)
    assert (attributes["SK"].attr_name, attributes["SK"].attr_type, attributes["SK"].is_range_key) == ("SK", "S", True)
    assert (attributes["version"].attr_name, attributes["version"].attr_type) == ("version", "N")


@each_kind
def test_the_fields_that_make_the_key_are_fields_of_the_entity(mapper: Mapper[Any]) -> None:
    assert set(mapper.keys.fields) <= set(mapper.entity.model_fields)


@each_kind
def test_index_attributes_are_the_librarys_own_text(mapper: Mapper[Any]) -> None:
    attributes = mapper.model.get_attributes()
    for name in mapper.index_attributes:
        assert name.startswith(OWN_PREFIX)
        assert attributes[name].attr_name == name
        assert attributes[name].attr_type == "S"


@pytest.mark.parametrize("layout", TableLayout)
def test_table_schemas_come_from_the_models(layout: TableLayout) -> None:
    tables = Tables("bluestar-", "-dev", layout)
    specs = {spec.name: spec for spec in tables.specs()}
    assert set(specs) == {tables.name(mapper) for mapper in KINDS}
    for mapper in KINDS:
        found = {(i.name, i.partition_attribute, i.sort_attribute) for i in specs[tables.name(mapper)].indexes}
        for index in mapper.model._get_schema()["global_secondary_indexes"]:
            keys = [key["AttributeName"] for key in index["key_schema"]]
            assert (index["index_name"], *keys) in found
            assert index["projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_each_subject_has_a_table_with_its_indexes() -> None:
    specs = Tables("bluestar-", "-dev", TableLayout.PER_TABLE).specs()
    assert {spec.name: {index.name for index in spec.indexes} for spec in specs} == {
        f"bluestar-{name}-dev": indexes for name, indexes in INDEXES.items()
    }


def test_layout_single_has_one_table_with_all_indexes() -> None:
    (spec,) = Tables("bluestar-", "-dev", TableLayout.SINGLE).specs()
    assert spec.name == "bluestar-store-dev"
    assert sorted(index.name for index in spec.indexes) == ["by_level", "by_plan", "open_holds"]


def test_kinds_have_names_of_their_own() -> None:
    assert len({mapper.name for mapper in KINDS}) == len(KINDS) == len(ON_DISK)


def test_a_model_never_shows_a_whole_bank_number() -> None:
    model = AchConfigModel("CLIENT#ACME_Weekly", "ACH", account_number="123456789", routing_number="021000021")
    for text in (repr(model), str(model), f"{model}"):
        assert "12345678" not in text
        assert "02100002" not in text
        assert "*****6789" in text
    empty = AchConfigModel("CLIENT#ACME_Weekly", "ACH")
    assert "PK='CLIENT#ACME_Weekly'" in repr(empty)
