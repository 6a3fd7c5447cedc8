"""processing-metadata: what agents of the drop-in keep of a batch, in whatever shape they give it.

It lies beside the batch's typed items, under sort keys of its own and within one attribute: no attribute of an agent's
(`status="in_progress"`) can be taken for one that the library reads.
"""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import BatchNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import DocumentAttribute, UtcAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import ItemModel, ListedIn, Mapper
from bluestar_store.mapping.values import Document, UtcTime
from bluestar_store.models.batches import PARTITION


class FreeState(Entity):
    """The state of a batch, as an agent of the drop-in saved it, or an old program in words of its own."""

    batch_id: str
    state: Document | None = None
    saved: UtcTime | None = None


class FreeStateModel(ItemModel):
    """PynamoDB's view of FreeState."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    state = DocumentAttribute(null=True)
    saved = UtcAttribute(null=True)


class FreeResult(Entity):
    """What a step came to, by the step's name, as an agent of the drop-in, or an old program, saved it."""

    batch_id: str
    step: str
    result: Document | None = None
    saved: UtcTime | None = None


class FreeResultModel(ItemModel):
    """PynamoDB's view of FreeResult."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    step = UnicodeAttribute(null=True)
    result = DocumentAttribute(null=True)
    saved = UtcAttribute(null=True)


FREE_STATE = Mapper(
    "free-state",
    FreeState,
    FreeStateModel,
    ItemKeys.of(PARTITION, "FREE#STATE"),
    BatchNotFoundError,
    cached=False,
    listed_in=ListedIn.BATCH,
    records=("state",),
    tells_plan="state",
)
FREE_RESULT = Mapper(
    "free-result",
    FreeResult,
    FreeResultModel,
    ItemKeys.of(PARTITION, "FREE#RESULT#{step}"),
    BatchNotFoundError,
    cached=False,
    listed_in=ListedIn.BATCH,
    records=("result",),
)
