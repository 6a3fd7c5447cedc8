"""irs-limits: the yearly dollar limits that the IRS publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from bluestar_store.checks.fields import AMOUNT, NEVER_LESS, YEAR
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import Count, Number

if TYPE_CHECKING:
    from bluestar_store.models.limits_model import IRS_LIMITS as IRS_LIMITS
    from bluestar_store.models.limits_model import IrsLimitsModel as IrsLimitsModel

__getattr__, __dir__ = lazily(__name__, {"bluestar_store.models.limits_model": ("IRS_LIMITS", "IrsLimitsModel")})


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
