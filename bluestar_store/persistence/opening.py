"""Wires the drop-in's three parts, from settings of either kind."""

from __future__ import annotations

from typing import NoReturn

import botocore.session
from botocore.exceptions import BotoCoreError

from bluestar_store.errors import CacheError, ConfigurationError
from bluestar_store.files import files_of
from bluestar_store.persistence.cache_backends import MemoryCacheBackend, RedisCacheBackend
from bluestar_store.persistence.file_stores import IFileStore, MemoryFileStore, S3FileStore
from bluestar_store.persistence.old_settings import OldSettings
from bluestar_store.persistence.protocols import ICacheBackend
from bluestar_store.persistence.rules import DynamoDBRulesStore, EngineRulesStore, MemoryRulesStore, engine_of
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import PersistenceMode, RedisMode, Settings
from bluestar_store.store import tables_of

REGION = "us-east-1"


@without_locals
def create_persistence(settings: object = None) -> tuple[EngineRulesStore, ICacheBackend | None, IFileStore]:
    """The rules store, its cache and the file store that the settings ask for. Nothing is sent before the first call.

    `settings`: ours; None for the environment's; or any object or mapping of the old shape, `redis.host`, `.port` and
    `.db`, `dynamodb.table_suffix`, `.region` and `.endpoint_url`, `s3.bucket`, `.region` and `.endpoint_url`. What it
    does not say is taken from the environment; a region that is nowhere is us-east-1. Its redis and s3 count in mode
    `dynamo` alone: a test that sets PERSISTENCE_MODE reaches no server of production by them.

    The cache is None where no Redis is named, but for mode `memory`, whose cache is in memory too. Without a bucket and
    without BLUESTAR_FILES_URL, files are kept in memory in mode `memory` alone; otherwise each call to the file store
    is a ConfigurationError. Each call of this function makes stores of their own.

    Raises ConfigurationError, or CacheError for a BLUESTAR_REDIS_URL that cannot be read.
    """
    if isinstance(settings, Settings):
        return _opened(settings, None)
    if settings is None:
        return _opened(Settings(), None)
    old = OldSettings.of(settings)
    ours = Settings(**old.dynamodb)
    return _opened(ours.model_copy(update={"aws_region": ours.aws_region or _region()}), old)


def _region() -> str | None:
    """The AWS SDK's own, else that of the old constructors. None where the SDK's files are broken: a call will tell."""
    try:
        return botocore.session.get_session().get_config_variable("region") or REGION
    except BotoCoreError:
        return None


def _opened(settings: Settings, old: OldSettings | None) -> tuple[EngineRulesStore, ICacheBackend | None, IFileStore]:
    if settings.persistence_mode is not PersistenceMode.DYNAMO:
        old = None
    files, cache = _files(settings, old), _cache(settings, old)
    match settings.persistence_mode:
        case PersistenceMode.MEMORY:
            return MemoryRulesStore(cache=cache, actor=settings.actor), cache, files
        case PersistenceMode.DYNAMO:
            return DynamoDBRulesStore.from_settings(settings, cache), cache, files
        case _:
            tables = tables_of(settings)
            store = EngineRulesStore(engine_of(settings, tables), tables, cache, actor=settings.actor)
            return store, cache, files


def _cache(settings: Settings, old: OldSettings | None) -> ICacheBackend | None:
    if old is not None and old.redis is not None:
        return RedisCacheBackend(**old.redis)
    if settings.redis_url is None:
        return MemoryCacheBackend() if settings.persistence_mode is PersistenceMode.MEMORY else None
    if settings.redis_mode is not RedisMode.STANDALONE:
        raise ConfigurationError(
            f"create_persistence has a cache on one Redis server only, and BLUESTAR_REDIS_MODE is "
            f"{settings.redis_mode}: give DynamoDBRulesStore a cache of your own"
        )
    try:
        return RedisCacheBackend.from_url(settings.redis_url.get_secret_value(), settings.redis_timeout_ms / 1000)
    except CacheError:
        raise ConfigurationError("BLUESTAR_REDIS_URL cannot be read; it looks like redis://host:6379/0") from None


def _files(settings: Settings, old: OldSettings | None) -> IFileStore:
    if old is not None and "bucket" in old.s3:
        region = old.s3.get("region", settings.aws_region)
        return S3FileStore(old.s3["bucket"], region, old.s3.get("endpoint_url", settings.files_endpoint_url))
    if settings.files_url is not None:
        return files_of(settings)
    return MemoryFileStore() if settings.persistence_mode is PersistenceMode.MEMORY else NoFileStore()


@without_locals
class NoFileStore:
    """See `IFileStore`. Where nobody said where files go: each call raises ConfigurationError, so that none is lost."""

    def read(self, path: str) -> bytes:
        """Raises ConfigurationError."""
        _nowhere()

    def write(self, path: str, data: bytes | str, content_type: str = "application/octet-stream") -> str:
        """Raises ConfigurationError."""
        _nowhere()

    def move(self, src: str, dst: str) -> None:
        """Raises ConfigurationError."""
        _nowhere()

    def list_files(self, prefix: str) -> list[str]:
        """Raises ConfigurationError."""
        _nowhere()


def _nowhere() -> NoReturn:
    raise ConfigurationError(
        "no file store: set BLUESTAR_FILES_URL, such as s3://bucket/prefix, or give create_persistence an s3.bucket"
    )
