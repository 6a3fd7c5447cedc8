"""processing-metadata: audit trails, of a batch or of any other item that was changed, and each trail's head."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import NotFoundError
from bluestar_store.keys import ItemKeys, KeyTemplate
from bluestar_store.models.attributes import DocumentAttribute, IntegerAttribute, UtcAttribute
from bluestar_store.models.entity import Entity
from bluestar_store.models.kind import ItemModel, Kind
from bluestar_store.models.values import Count, Document, UtcTime

TRAILS = (
    (KeyTemplate("BATCH#{batch_id}"), {"table": None, "partition": None}),
    (KeyTemplate("TRAIL#{table}#{partition:raw}"), {"batch_id": None}),
)


class Trail(Entity):
    """Names a trail: that of a batch, or that of the items in a partition of a table (its name without prefix)."""

    batch_id: str | None = None
    table: str | None = None
    partition: str | None = None


class ChainHead(Trail):
    """The end of a trail: the number and hash of its last entry. Every change of a pipeline goes through it too."""

    seq: Count = 0
    hash: str | None = None


class AuditEntry(Trail):
    """One entry of a trail, holding its predecessor's hash."""

    seq: Count
    actor: str | None = None
    action: str | None = None
    at: UtcTime | None = None
    details: Document | None = None
    previous: str | None = None
    hash: str | None = None


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
    at = UtcAttribute(null=True)
    details = DocumentAttribute(null=True)
    previous = UnicodeAttribute(null=True)
    hash = UnicodeAttribute(null=True)


CHAIN_HEAD = Kind("chain-head", ChainHead, ChainHeadModel, ItemKeys(TRAILS, KeyTemplate("CHAIN")), NotFoundError)
AUDIT_ENTRY = Kind(
    "audit-entry", AuditEntry, AuditEntryModel, ItemKeys(TRAILS, KeyTemplate("AUDIT#{seq:08d}")), NotFoundError
)
