"""processing-metadata: audit trails, of a batch or of any other item that was changed, and each trail's head."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import NotFoundError
from bluestar_store.keys import ItemKeys, KeyTemplate
from bluestar_store.mapping.attributes import DocumentAttribute, EntryTimeAttribute, IntegerAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.mapping.values import Count, Document, UtcTime


class Trail(Entity):
    """Names a trail: that of a batch, or that of the items in a partition of a table (its name without prefix)."""

    batch_id: str | None = None
    table: str | None = None
    partition: str | None = None


class ChainHead(Trail):
    """The end of a trail: the number and hash of its last entry. Every change of a pipeline goes through it too."""

    seq: Count = 0
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


SALT = "salt"
"""An attribute of entries whose details are shown masked in part: random, so that the hash beside them tells nothing.

No field, for the hash covers it as it covers what other programs add: release 0.1.0 verifies it, too.
"""


class AuditEntry(Trail):
    """One entry of a trail, holding its predecessor's hash."""

    seq: Count
    actor: str | None = None
    action: str | None = None
    at: UtcTime | None = None
    details: Document | None = None
    previous: str | None = None
    hash: str | None = None


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


TRAILS = (
    (KeyTemplate("BATCH#{batch_id}"), {"table": None, "partition": None}),
    (KeyTemplate("TRAIL#{table}#{partition:raw}"), {"batch_id": None}),
)
CHAIN_HEAD = Mapper(
    "chain-head",
    ChainHead,
    ChainHeadModel,
    ItemKeys(TRAILS, KeyTemplate("CHAIN")),
    NotFoundError,
    cached=False,
    owner="audit",
)
AUDIT_ENTRY = Mapper(
    "audit-entry",
    AuditEntry,
    AuditEntryModel,
    ItemKeys(TRAILS, KeyTemplate("AUDIT#{seq:08d}")),
    NotFoundError,
    cached=False,
    owner="audit",
    append_only=True,
    records=("details",),
    in_store="audit",
    repository="bluestar_store.repositories.audit:AuditRepository",
)
