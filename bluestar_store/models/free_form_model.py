"""processing-metadata: how PynamoDB and the library keep the entities of `free_form.py`."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import BatchNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import DocumentAttribute, UtcAttribute
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.models.batches_model import PARTITION
from bluestar_store.models.free_form import FreeResult, FreeState


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


FREE_STATE = Mapper(
    "free-state",
    FreeState,
    FreeStateModel,
    ItemKeys.of(PARTITION, "FREE#STATE"),
    BatchNotFoundError,
    cached=False,
    records=("state",),
)
FREE_RESULT = Mapper(
    "free-result",
    FreeResult,
    FreeResultModel,
    ItemKeys.of(PARTITION, "FREE#RESULT#{step}"),
    BatchNotFoundError,
    cached=False,
    records=("result",),
)
