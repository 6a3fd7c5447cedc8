"""Vendor schemas: by fingerprint, or the most specific one for a plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bluestar_store.deprecation import renamed
from bluestar_store.keys import check_plan
from bluestar_store.models.vendor import VENDOR_SCHEMA, VendorSchema, fingerprint
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.cache_answers import readable
from bluestar_store.repositories.sessions import HasSessions

NEVER = datetime.min.replace(tzinfo=UTC)


class VendorSchemaRepository(Repository[VendorSchema]):
    """Items of the table vendor-schema-mapping."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, VENDOR_SCHEMA)

    def get(self, vendor_id: str, fingerprint: str, *, fresh: bool = False) -> VendorSchema:
        """The schema stored under a fingerprint, ours or another program's. Raises SchemaNotFoundError."""
        schema = self.first((vendor_id, fingerprint), fresh=fresh)
        if schema is None:
            raise self.not_found(f"no schema {fingerprint!r} of vendor {vendor_id!r}")
        return schema

    def match(self, vendor_id: str, columns: Sequence[str], *, fresh: bool = False) -> VendorSchema:
        """The schema of a file with these columns, in this order; case and white space do not count.

        Raises SchemaNotFoundError.
        """
        return self.get(vendor_id, fingerprint(columns), fresh=fresh)

    def for_vendor(self, vendor_id: str, *, fresh: bool = False) -> tuple[VendorSchema, ...]:
        """All schemas of a vendor, by fingerprint; empty when there is none."""
        (schemas,) = self.partitions((vendor_id,), fresh=fresh)
        return readable(schemas)

    def for_plan(self, vendor_id: str, plan_id: str, pay_freq: str, *, fresh: bool = False) -> VendorSchema:
        """The most specific schema: of the plan and frequency, else of the plan, else of the vendor (`inherited_by`).

        Of several equally specific ones the newest; one without `created` counts as oldest. Raises
        SchemaNotFoundError.
        """
        check_plan(plan_id)
        fitting = [
            schema
            for schema in self.for_vendor(vendor_id, fresh=fresh)
            if schema.plan_id in (None, plan_id) and (schema.pay_freq is None or schema.pay_freq == pay_freq)
        ]
        if not fitting:
            raise self.not_found(f"no schema of vendor {vendor_id!r} for plan {plan_id!r}, {pay_freq!r}")
        schema = max(fitting, key=_specificity)
        return schema if schema.plan_id == plan_id else schema.inherited_as(plan_id)


def _specificity(schema: VendorSchema) -> tuple[bool, bool, datetime, str]:
    return schema.plan_id is not None, schema.pay_freq is not None, schema.created or NEVER, schema.fingerprint


__getattr__ = renamed(__name__, {"VendorSchemas": f"{__name__}:VendorSchemaRepository"})  # for one release
