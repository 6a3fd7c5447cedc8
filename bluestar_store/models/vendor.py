"""vendor-schema-mapping: how the columns of a vendor's file map to canonical fields."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.checks.fields import FREQUENCY, MAPPING
from bluestar_store.errors import InvalidKeyError, SchemaNotFoundError
from bluestar_store.keys import ItemKeys, check_plan
from bluestar_store.mapping.attributes import TextListAttribute, TextMapAttribute, UtcAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.indexes import index_text
from bluestar_store.mapping.mapper import Derived, LevelModel, Mapper
from bluestar_store.mapping.values import TextMap, TextTuple, UtcTime
from bluestar_store.redaction.masking import Words


def fingerprint(columns: Sequence[str]) -> str:
    """SHA-256 in hex of the column names, stripped, case-folded, inner white space to one space, joined by U+001F."""
    text = "\x1f".join(" ".join(column.split()).casefold() for column in columns)
    try:
        return hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise InvalidKeyError("a column's name is not valid Unicode") from None


class VendorSchema(Entity):
    """One layout of a vendor's files; for one plan and pay frequency, for one plan, or (both None) for all.

    `mapping` leads from the vendor's column to the canonical field. `VendorSchema.fingerprint_of(columns)` gives the
    `fingerprint` under which a file with those columns is found.
    """

    vendor_id: str
    fingerprint: str
    columns: TextTuple = ()
    mapping: Annotated[TextMap | None, MAPPING, Words.OF_OTHERS] = None
    plan_id: str | None = None
    pay_freq: Annotated[str | None, FREQUENCY] = None
    created: UtcTime | None = None

    @staticmethod
    def fingerprint_of(columns: Sequence[str]) -> str:
        """See `fingerprint`."""
        return fingerprint(columns)


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
    created="created",
    derived=Derived("fingerprint", "columns", fingerprint),
    commands=("schema set {vendor_id} {fingerprint} KEY=VALUE", "schema delete {vendor_id} {fingerprint}"),
    in_store="vendor_schemas",
    repository="bluestar_store.repositories.vendor_schemas:VendorSchemaRepository",
)
