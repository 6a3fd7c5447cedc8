"""vendor-schema-mapping: how PynamoDB and the library keep the entities of `vendor.py`."""

from __future__ import annotations

from collections.abc import Mapping

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import SchemaNotFoundError
from bluestar_store.keys import ItemKeys, check_plan
from bluestar_store.mapping.attributes import TextListAttribute, TextMapAttribute, UtcAttribute
from bluestar_store.mapping.indexes import index_text
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.models.vendor import VendorSchema


class VendorSchemaModel(LevelModel):
    """PynamoDB's view of VendorSchema."""

    class Meta:
        table_name = "vendor-schema-mapping"

    vendor_id = UnicodeAttribute(null=True)
    fingerprint = UnicodeAttribute(null=True)
    columns = TextListAttribute(null=True)
    mapping = TextMapAttribute(null=True)
    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    created = UtcAttribute(null=True)


def _level_index(schema: VendorSchema) -> Mapping[str, str]:
    """Its plan is not part of the key, so it is checked here: InvalidKeyError for one that could not be asked for."""
    plan_id = check_plan(schema.plan_id) if schema.plan_id is not None else ""
    return {"bs_kind": "vendor-schema", "bs_level": index_text(plan_id, schema.vendor_id)}


VENDOR_SCHEMA = Mapper(
    "vendor-schema",
    VendorSchema,
    VendorSchemaModel,
    ItemKeys.of("VENDOR#{vendor_id}", "SCHEMA#{fingerprint}"),
    SchemaNotFoundError,
    _level_index,
    "vendor_schemas",
    commands=("schema set {vendor_id} {fingerprint} KEY=VALUE", "schema delete {vendor_id} {fingerprint}"),
)
