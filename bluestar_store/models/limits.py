"""irs-limits: the yearly dollar limits that the IRS publishes."""

from __future__ import annotations

from typing import Annotated

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.checks.fields import AMOUNT, NEVER_LESS, YEAR
from bluestar_store.errors import LimitsNotFoundError
from bluestar_store.keys import GLOBAL, ItemKeys
from bluestar_store.mapping.attributes import DecimalAttribute, IntegerAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.indexes import index_text
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.mapping.values import Count, Number

Limit = Annotated[Number | None, AMOUNT, NEVER_LESS]


class IrsLimits(Entity):
    """The limits of one year, in dollars; `source` names the IRS notice. A figure that is not known is None.

    `max_401k` is the elective deferral limit (IRC 402(g)), `catch_up` for ages 50 and over (414(v)), `super_catch_up`
    for ages 60 to 63 (SECURE 2.0 section 109, from 2025), `comp_limit` 401(a)(17), `annual_addition` 415(c),
    `hce_threshold` 414(q), `key_employee` 416(i), `roth_catch_up_wage` 414(v)(7).
    """

    year: Annotated[Count, YEAR]
    max_401k: Limit = None
    catch_up: Limit = None
    super_catch_up: Limit = None
    comp_limit: Limit = None
    annual_addition: Limit = None
    hce_threshold: Limit = None
    key_employee: Limit = None
    roth_catch_up_wage: Limit = None
    source: str | None = None


LIMIT_NAMES = tuple(name for name in IrsLimits.model_fields if name != "source")
"""What a formula may name of a year's limits."""


class IrsLimitsModel(LevelModel):
    """PynamoDB's view of IrsLimits."""

    class Meta:
        table_name = "irs-limits"

    year = IntegerAttribute(null=True)
    max_401k = DecimalAttribute(null=True)
    catch_up = DecimalAttribute(null=True)
    super_catch_up = DecimalAttribute(null=True)
    comp_limit = DecimalAttribute(null=True)
    annual_addition = DecimalAttribute(null=True)
    hce_threshold = DecimalAttribute(null=True)
    key_employee = DecimalAttribute(null=True)
    roth_catch_up_wage = DecimalAttribute(null=True)
    source = UnicodeAttribute(null=True)


IRS_LIMITS = Mapper(
    "irs-limits",
    IrsLimits,
    IrsLimitsModel,
    ItemKeys.of("YEAR#{year:04d}", "LIMITS"),
    LimitsNotFoundError,
    lambda limits: {"bs_kind": "irs-limits", "bs_level": index_text(GLOBAL, f"{limits.year:04d}")},
    "irs_limits",
    in_snapshot="limits",
    commands=("limits set {year} KEY=VALUE", "limits delete {year}"),
    in_store="irs_limits",
    repository="bluestar_store.repositories.irs_limits:IrsLimitsRepository",
)
