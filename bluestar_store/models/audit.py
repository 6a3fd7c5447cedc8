"""processing-metadata: audit trails, of a batch or of any other item that was changed, and each trail's head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import Count, Document, UtcTime

if TYPE_CHECKING:
    from bluestar_store.models.audit_model import AUDIT_ENTRY as AUDIT_ENTRY
    from bluestar_store.models.audit_model import CHAIN_HEAD as CHAIN_HEAD
    from bluestar_store.models.audit_model import TRAILS as TRAILS
    from bluestar_store.models.audit_model import AuditEntryModel as AuditEntryModel
    from bluestar_store.models.audit_model import ChainHeadModel as ChainHeadModel

__getattr__, __dir__ = lazily(
    __name__,
    {"bluestar_store.models.audit_model": ("AUDIT_ENTRY", "CHAIN_HEAD", "TRAILS", "AuditEntryModel", "ChainHeadModel")},
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
