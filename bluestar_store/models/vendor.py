"""vendor-schema-mapping: how the columns of a vendor's file map to canonical fields."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from bluestar_store.checks.fields import FREQUENCY, MAPPING
from bluestar_store.errors import InvalidKeyError
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import TextMap, TextTuple, UtcTime

if TYPE_CHECKING:
    from bluestar_store.models.vendor_model import VENDOR_SCHEMA as VENDOR_SCHEMA
    from bluestar_store.models.vendor_model import VendorSchemaModel as VendorSchemaModel

__getattr__, __dir__ = lazily(__name__, {"bluestar_store.models.vendor_model": ("VENDOR_SCHEMA", "VendorSchemaModel")})


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
    mapping: Annotated[TextMap | None, MAPPING] = None
    plan_id: str | None = None
    pay_freq: Annotated[str | None, FREQUENCY] = None
    created: UtcTime | None = None

    @staticmethod
    def fingerprint_of(columns: Sequence[str]) -> str:
        """See `fingerprint`."""
        return fingerprint(columns)
