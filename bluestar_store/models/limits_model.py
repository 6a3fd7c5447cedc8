"""irs-limits: how PynamoDB and the library keep the entities of `limits.py`."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import LimitsNotFoundError
from bluestar_store.keys import GLOBAL, ItemKeys
from bluestar_store.mapping.attributes import DecimalAttribute, IntegerAttribute
from bluestar_store.mapping.indexes import index_text
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.models.limits import IrsLimits


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
    commands=("limits set {year} KEY=VALUE", "limits delete {year}"),
)
