"""processing-metadata: what agents of the drop-in keep of a batch, in whatever shape they give it.

It lies beside the batch's typed items, under sort keys of its own and within one attribute: no attribute of an agent's
(`status="in_progress"`) can be taken for one that the library reads.
"""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import BatchNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.models.attributes import DocumentAttribute, UtcAttribute
from bluestar_store.models.batches import PARTITION
from bluestar_store.models.entity import Entity
from bluestar_store.models.kind import ItemModel, Kind
from bluestar_store.models.values import Document, UtcTime


class FreeState(Entity):
    """The state of a batch, as an agent of the drop-in saved it."""

    batch_id: str
    state: Document | None = None
    saved: UtcTime | None = None


class FreeResult(Entity):
    """What a step came to, by the step's name, as an agent of the drop-in saved it."""

    batch_id: str
    step: str
    result: Document | None = None
    saved: UtcTime | None = None


class FreeStateModel(ItemModel):
    """PynamoDB's view of FreeState."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    state = DocumentAttribute(null=True)
    saved = UtcAttribute(null=True)


class FreeResultModel(ItemModel):
    """PynamoDB's view of FreeResult."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    step = UnicodeAttribute(null=True)
    result = DocumentAttribute(null=True)
    saved = UtcAttribute(null=True)


FREE_STATE = Kind("free-state", FreeState, FreeStateModel, ItemKeys.of(PARTITION, "FREE#STATE"), BatchNotFoundError)
FREE_RESULT = Kind(
    "free-result", FreeResult, FreeResultModel, ItemKeys.of(PARTITION, "FREE#RESULT#{step}"), BatchNotFoundError
)
