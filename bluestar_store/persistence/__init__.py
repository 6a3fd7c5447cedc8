"""The drop-in for hand-made persistence modules: raw items as dicts, over the library's own engines; files; SQL.

Change one import and keep working; then move to the typed `Store`, call by call (docs/persistence.md).
"""

import redis as redis  # tests of old modules patch `persistence.redis.Redis`

from bluestar_store.errors import BlueStarError, CacheError, RuleNotFoundError
from bluestar_store.persistence.cache_backends import MemoryCacheBackend, RedisCacheBackend
from bluestar_store.persistence.file_stores import IFileStore, MemoryFileStore, S3FileStore
from bluestar_store.persistence.opening import create_persistence
from bluestar_store.persistence.protocols import IBatchStore, ICacheBackend, IRulesStore, ISQLClient
from bluestar_store.persistence.rule_cache import CACHE_TTL
from bluestar_store.persistence.rules import DynamoDBRulesStore, EngineRulesStore, MemoryRulesStore
from bluestar_store.persistence.scripts import TABLE_DEFINITIONS, create_tables, seed_pipeline_data
from bluestar_store.persistence.sql import SQLClient

__all__ = [
    "CACHE_TTL",
    "TABLE_DEFINITIONS",
    "BlueStarError",
    "CacheError",
    "DynamoDBRulesStore",
    "EngineRulesStore",
    "IBatchStore",
    "ICacheBackend",
    "IFileStore",
    "IRulesStore",
    "ISQLClient",
    "MemoryCacheBackend",
    "MemoryFileStore",
    "MemoryRulesStore",
    "RedisCacheBackend",
    "RuleNotFoundError",
    "S3FileStore",
    "SQLClient",
    "create_persistence",
    "create_tables",
    "seed_pipeline_data",
]
