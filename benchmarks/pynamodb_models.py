"""PynamoDB's Models of the tables, as its users would write them: its own attributes, the names on disk."""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import BooleanAttribute, ListAttribute, MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from bluestar_store import Settings


class Item(Model):
    """What every item has."""

    PK = UnicodeAttribute(hash_key=True)
    SK = UnicodeAttribute(range_key=True)


class Rule(Item):
    """A calculation rule."""

    plan_id = UnicodeAttribute(null=True)
    calc_type = UnicodeAttribute(null=True)
    formula = UnicodeAttribute(null=True)
    max_pct = NumberAttribute(null=True)
    age_threshold = NumberAttribute(null=True)
    description = UnicodeAttribute(null=True)


class Step(Item):
    """A step of a pipeline."""

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    stepOrder = NumberAttribute(null=True)
    subroutineName = UnicodeAttribute(null=True)
    agent = UnicodeAttribute(null=True)
    enabled = BooleanAttribute(null=True)
    required = BooleanAttribute(null=True)
    description = UnicodeAttribute(null=True)
    timeoutSeconds = NumberAttribute(null=True)


class ByLevel(GlobalSecondaryIndex[Any]):
    """Which categories a plan has rules in."""

    class Meta:
        index_name = "by_level"
        projection = KeysOnlyProjection()

    bs_kind = UnicodeAttribute(hash_key=True)
    bs_level = UnicodeAttribute(range_key=True)


class Validation(Item):
    """A validation rule."""

    by_level = ByLevel()
    bs_kind = UnicodeAttribute(null=True)
    bs_level = UnicodeAttribute(null=True)
    category = UnicodeAttribute(null=True)
    plan_id = UnicodeAttribute(null=True)
    number = NumberAttribute(null=True)
    field = UnicodeAttribute(null=True)
    pattern = UnicodeAttribute(null=True)
    check = UnicodeAttribute(null=True)
    message = UnicodeAttribute(null=True)
    severity = UnicodeAttribute(null=True)
    enabled = BooleanAttribute(null=True)


class Limits(Item):
    """A year's limits."""

    year = NumberAttribute(null=True)
    max_401k = NumberAttribute(null=True)
    catch_up = NumberAttribute(null=True)
    super_catch_up = NumberAttribute(null=True)
    comp_limit = NumberAttribute(null=True)
    annual_addition = NumberAttribute(null=True)
    hce_threshold = NumberAttribute(null=True)
    key_employee = NumberAttribute(null=True)
    roth_catch_up_wage = NumberAttribute(null=True)
    source = UnicodeAttribute(null=True)


class Config(Item):
    """A plan's configuration, or its bank account."""

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    custodian = UnicodeAttribute(null=True)
    deadline_hour = NumberAttribute(null=True)
    ach_method = UnicodeAttribute(null=True)
    bank_id = UnicodeAttribute(null=True)
    account_number = UnicodeAttribute(null=True)
    routing_number = UnicodeAttribute(null=True)


class Schema(Item):
    """A vendor's schema."""

    vendor_id = UnicodeAttribute(null=True)
    fingerprint = UnicodeAttribute(null=True)
    columns = ListAttribute[Any](null=True)
    mapping = MapAttribute[str, str](null=True)  # type: ignore[no-untyped-call]  # its __init__ has no types


class Hold(Item):
    """A hold."""

    plan_id = UnicodeAttribute(null=True)
    hold_id = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    created = UnicodeAttribute(null=True)


class Batch(Item):
    """A batch's state."""

    batch_id = UnicodeAttribute(null=True)
    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    year = NumberAttribute(null=True)
    status = UnicodeAttribute(null=True)


def bound(model: type[Item], settings: Settings, table: str) -> Any:
    """The Model for one table at the benchmark's endpoint."""
    where = {"table_name": table, "host": settings.dynamodb_endpoint_url, "region": settings.aws_region}
    return type(model.__name__, (model,), {"Meta": type("Meta", (), where), "_connection": None})
