"""processing-metadata: what agents of the drop-in keep of a batch, in whatever shape they give it.

It lies beside the batch's typed items, under sort keys of its own and within one attribute: no attribute of an agent's
(`status="in_progress"`) can be taken for one that the library reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import Document, UtcTime

if TYPE_CHECKING:
    from bluestar_store.models.free_form_model import FREE_RESULT as FREE_RESULT
    from bluestar_store.models.free_form_model import FREE_STATE as FREE_STATE
    from bluestar_store.models.free_form_model import FreeResultModel as FreeResultModel
    from bluestar_store.models.free_form_model import FreeStateModel as FreeStateModel

__getattr__, __dir__ = lazily(
    __name__,
    {"bluestar_store.models.free_form_model": ("FREE_RESULT", "FREE_STATE", "FreeResultModel", "FreeStateModel")},
)


class FreeState(Entity):
    """The state of a batch, as an agent of the drop-in saved it, or an old program in words of its own."""

    batch_id: str
    state: Document | None = None
    saved: UtcTime | None = None


class FreeResult(Entity):
    """What a step came to, by the step's name, as an agent of the drop-in, or an old program, saved it."""

    batch_id: str
    step: str
    result: Document | None = None
    saved: UtcTime | None = None
