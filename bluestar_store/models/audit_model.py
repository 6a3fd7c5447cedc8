"""processing-metadata: how PynamoDB and the library keep the entities of `audit.py`."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import NotFoundError
from bluestar_store.keys import ItemKeys, KeyTemplate
from bluestar_store.mapping.attributes import DocumentAttribute, EntryTimeAttribute, IntegerAttribute
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.models.audit import AuditEntry, ChainHead

TRAILS = (
    (KeyTemplate("BATCH#{batch_id}"), {"table": None, "partition": None}),
    (KeyTemplate("TRAIL#{table}#{partition:raw}"), {"batch_id": None}),
)


class ChainHeadModel(ItemModel):
    """PynamoDB's view of ChainHead."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    table = UnicodeAttribute(null=True)
    partition = UnicodeAttribute(null=True)
    seq = IntegerAttribute(null=True)
    hash = UnicodeAttribute(null=True)


class AuditEntryModel(ItemModel):
    """PynamoDB's view of AuditEntry."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    table = UnicodeAttribute(null=True)
    partition = UnicodeAttribute(null=True)
    seq = IntegerAttribute(null=True)
    actor = UnicodeAttribute(null=True)
    action = UnicodeAttribute(null=True)
    at = EntryTimeAttribute(null=True)
    details = DocumentAttribute(null=True)
    previous = UnicodeAttribute(null=True)
    hash = UnicodeAttribute(null=True)


CHAIN_HEAD = Mapper(
    "chain-head", ChainHead, ChainHeadModel, ItemKeys(TRAILS, KeyTemplate("CHAIN")), NotFoundError, cached=False
)
AUDIT_ENTRY = Mapper(
    "audit-entry",
    AuditEntry,
    AuditEntryModel,
    ItemKeys(TRAILS, KeyTemplate("AUDIT#{seq:08d}")),
    NotFoundError,
    cached=False,
    records=("details",),
)
