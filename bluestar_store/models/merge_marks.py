"""What says that a merge is bringing in a batch of more records than one transaction takes, and is not done with it.

Two items among the batch's results and claims: who reads these sees them, too, and what is there without a STATE is no
batch yet. They are there before the first record, and go after the STATE has come.
"""

from __future__ import annotations

from typing import Any

from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.batches import STEP_CLAIM, STEP_RESULT
from bluestar_store.protocols import OWN_PREFIX

MERGING = f"{OWN_PREFIX}merging"


def merge_mark(mapper: Mapper[Any], pk: str) -> Key:
    """Where it lies among a batch's records of this kind."""
    return Key(pk, f"{mapper.keys.sort.prefix}{MERGING}")


def merge_marks(pk: str) -> tuple[Key, ...]:
    """Both of a batch."""
    return merge_mark(STEP_RESULT, pk), merge_mark(STEP_CLAIM, pk)


def is_merge_mark(key: Key) -> bool:
    """Whether it is one."""
    return key.sk.endswith(MERGING) and key in merge_marks(key.pk)
