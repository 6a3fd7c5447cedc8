"""agent-config: a plan's custodian and deadline, and how its money is moved."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pynamodb.attributes import UnicodeAttribute

from bluestar_store.checks.fields import FREQUENCY, ROUTING_NUMBER, VISIBLE
from bluestar_store.errors import ConfigNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.redaction.masking import SensitiveText


class ClientConfig(PlanEntity):
    """The configuration of a plan (or DEFAULT) and pay frequency. `deadline_hour` is 0 to 23."""

    pay_freq: Annotated[str, FREQUENCY]
    custodian: Annotated[str | None, VISIBLE] = None
    deadline_hour: Annotated[int, Field(ge=0, le=23)] | None = None


class ClientConfigModel(LevelModel):
    """PynamoDB's view of ClientConfig."""

    class Meta:
        table_name = "agent-config"

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    custodian = UnicodeAttribute(null=True)
    deadline_hour = IntegerAttribute(null=True)


class AchConfig(PlanEntity):
    """The bank account of a plan and pay frequency. Its numbers never show whole in a repr."""

    pay_freq: Annotated[str, FREQUENCY]
    ach_method: Annotated[str | None, VISIBLE] = None
    bank_id: Annotated[str | None, VISIBLE] = None
    account_number: SensitiveText | None = None
    routing_number: Annotated[SensitiveText | None, ROUTING_NUMBER] = None


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


PARTITION = "CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}"
CLIENT_CONFIG = Mapper(
    "client-config",
    ClientConfig,
    ClientConfigModel,
    ItemKeys.of(PARTITION, "CONFIG"),
    ConfigNotFoundError,
    rule_list="client_configs",
    in_snapshot="client_config",
    diff_rank=4,
    commands=("config set {plan_id} {pay_freq} KEY=VALUE", "config delete {plan_id} {pay_freq}"),
    extensible=True,
    in_store="client_configs",
    repository="bluestar_store.repositories.configs:ClientConfigRepository",
)
"""The mapper of client configurations: `CLIENT_CONFIG.extended` gives one with fields of your own."""
ACH_CONFIG = Mapper(
    "ach-config",
    AchConfig,
    AchConfigModel,
    ItemKeys.of(PARTITION, "ACH"),
    ConfigNotFoundError,
    rule_list="ach_configs",
    in_snapshot="ach_config",
    diff_rank=5,
    sensitive=True,
    commands=("config set {plan_id} {pay_freq} KEY=VALUE --ach", "config delete {plan_id} {pay_freq} --ach"),
    extensible=True,
    in_store="ach_configs",
    repository="bluestar_store.repositories.configs:AchConfigRepository",
)
"""The mapper of bank accounts."""
