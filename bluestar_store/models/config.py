"""agent-config: a plan's custodian and deadline, and how its money is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bluestar_store.checks.fields import FREQUENCY, ROUTING_NUMBER, VISIBLE
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.redaction.masking import SensitiveText

if TYPE_CHECKING:
    from bluestar_store.models.config_model import ACH_CONFIG as ACH_CONFIG
    from bluestar_store.models.config_model import CLIENT_CONFIG as CLIENT_CONFIG
    from bluestar_store.models.config_model import AchConfigModel as AchConfigModel
    from bluestar_store.models.config_model import ClientConfigModel as ClientConfigModel

__getattr__, __dir__ = lazily(
    __name__,
    {"bluestar_store.models.config_model": ("ACH_CONFIG", "CLIENT_CONFIG", "AchConfigModel", "ClientConfigModel")},
)


class ClientConfig(PlanEntity):
    """The configuration of a plan (or DEFAULT) and pay frequency. `deadline_hour` is 0 to 23."""

    pay_freq: Annotated[str, FREQUENCY]
    custodian: Annotated[str | None, VISIBLE] = None
    deadline_hour: Annotated[int, Field(ge=0, le=23)] | None = None


class AchConfig(PlanEntity):
    """The bank account of a plan and pay frequency. Its numbers never show whole in a repr."""

    pay_freq: Annotated[str, FREQUENCY]
    ach_method: Annotated[str | None, VISIBLE] = None
    bank_id: Annotated[str | None, VISIBLE] = None
    account_number: SensitiveText | None = None
    routing_number: Annotated[SensitiveText | None, ROUTING_NUMBER] = None
