"""The public names for declaring entities of your own: see docs/adding-an-entity.md."""

from bluestar_store.aio.calls import AsyncCalls
from bluestar_store.aio.repositories import AsyncConfigs, AsyncReader, AsyncRepository
from bluestar_store.deprecation import renamed
from bluestar_store.keys import ItemKeys, Key
from bluestar_store.mapping.attributes import (
    DecimalAttribute,
    DocumentAttribute,
    EnumAttribute,
    IntegerAttribute,
    TextListAttribute,
    TextMapAttribute,
    UtcAttribute,
)
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.mapper import OTHERS, ItemModel, LevelModel, Mapper
from bluestar_store.mapping.values import Count, Document, Number, TextMap, TextTuple, UtcTime
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfigModel, ClientConfigModel
from bluestar_store.repositories.base import Reader, Repository
from bluestar_store.repositories.cache_answers import readable
from bluestar_store.repositories.configs import Configs

__all__ = [
    "ACH_CONFIG",
    "CLIENT_CONFIG",
    "OTHERS",
    "AchConfigModel",
    "AsyncCalls",
    "AsyncConfigs",
    "AsyncReader",
    "AsyncRepository",
    "ClientConfigModel",
    "Configs",
    "Count",
    "DecimalAttribute",
    "Document",
    "DocumentAttribute",
    "Entity",
    "EnumAttribute",
    "IntegerAttribute",
    "ItemKeys",
    "ItemModel",
    "Key",
    "LevelModel",
    "Mapper",
    "Number",
    "PlanEntity",
    "Reader",
    "Repository",
    "TextListAttribute",
    "TextMap",
    "TextMapAttribute",
    "TextTuple",
    "UtcAttribute",
    "UtcTime",
    "readable",
]

__getattr__ = renamed(__name__, {"Kind": "bluestar_store.extending:Mapper"})
