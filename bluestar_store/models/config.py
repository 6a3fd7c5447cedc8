"""agent-config: a plan's custodian and deadline, and how its money is moved."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import ConfigNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.models.attributes import IntegerAttribute
from bluestar_store.models.entity import PlanEntity
from bluestar_store.models.kind import Kind, LevelModel

PARTITION = "CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}"


class ClientConfig(PlanEntity):
    """The configuration of a plan (or DEFAULT) and pay frequency. `deadline_hour` is 0 to 23."""

    pay_freq: str
    custodian: str | None = None
    deadline_hour: Annotated[int, Field(ge=0, le=23)] | None = None


class AchConfig(PlanEntity):
    """The bank account of a plan and pay frequency. Its numbers never show whole in a repr."""

    pay_freq: str
    ach_method: str | None = None
    bank_id: str | None = None
    account_number: str | None = None
    routing_number: str | None = None


class ClientConfigModel(LevelModel):
    """PynamoDB's view of ClientConfig."""

    class Meta:
        table_name = "agent-config"

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    custodian = UnicodeAttribute(null=True)
    deadline_hour = IntegerAttribute(null=True)


class AchConfigModel(LevelModel):
    """PynamoDB's view of AchConfig."""

    class Meta:
        table_name = "agent-config"

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    ach_method = UnicodeAttribute(null=True)
    bank_id = UnicodeAttribute(null=True)
    account_number = UnicodeAttribute(null=True)
    routing_number = UnicodeAttribute(null=True)


CLIENT_CONFIG = Kind(
    "client-config",
    ClientConfig,
    ClientConfigModel,
    ItemKeys.of(PARTITION, "CONFIG"),
    ConfigNotFoundError,
    rule_list="client_configs",
)
ACH_CONFIG = Kind(
    "ach-config",
    AchConfig,
    AchConfigModel,
    ItemKeys.of(PARTITION, "ACH"),
    ConfigNotFoundError,
    rule_list="ach_configs",
    sensitive=True,
)
