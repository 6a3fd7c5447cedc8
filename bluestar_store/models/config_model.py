"""agent-config: how PynamoDB and the library keep the entities of `config.py`."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import ConfigNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.models.config import AchConfig, ClientConfig

PARTITION = "CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}"


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


CLIENT_CONFIG = Mapper(
    "client-config",
    ClientConfig,
    ClientConfigModel,
    ItemKeys.of(PARTITION, "CONFIG"),
    ConfigNotFoundError,
    rule_list="client_configs",
    commands=("config set {plan_id} {pay_freq} KEY=VALUE", "config delete {plan_id} {pay_freq}"),
)
"""The mapper of client configurations: `CLIENT_CONFIG.extended` gives one with fields of your own."""
ACH_CONFIG = Mapper(
    "ach-config",
    AchConfig,
    AchConfigModel,
    ItemKeys.of(PARTITION, "ACH"),
    ConfigNotFoundError,
    rule_list="ach_configs",
    sensitive=True,
    commands=("config set {plan_id} {pay_freq} KEY=VALUE --ach", "config delete {plan_id} {pay_freq} --ach"),
)
"""The mapper of bank accounts."""
