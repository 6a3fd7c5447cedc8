"""Opens the engine that the settings name; its module is loaded then. See `plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluestar_store.errors import ConfigurationError
from bluestar_store.plugins import ENGINES, members
from bluestar_store.protocols import Engine

if TYPE_CHECKING:
    from bluestar_store.models.tables import Tables
    from bluestar_store.settings import Settings


def open_engine(settings: Settings, tables: Tables) -> Engine:
    """The engine of `settings.persistence_mode`, for these tables. Raises ConfigurationError."""
    engine: Engine = ENGINES.open(settings.persistence_mode, members(Engine), settings, tables)
    return engine


def open_memory(settings: Settings, tables: Tables) -> Engine:
    """An engine in this process's memory, empty."""
    from bluestar_store.engines.memory.engine import MemoryEngine

    return MemoryEngine()


def open_file(settings: Settings, tables: Tables) -> Engine:
    """The engine in the folder that the settings name. Raises ConfigurationError where they name none."""
    from bluestar_store.engines.file.engine import FileEngine

    if settings.file_persistence_dir is None:
        raise ConfigurationError("file mode needs a folder: set BLUESTAR_FILE_PERSISTENCE_DIR (or --dir)")
    return FileEngine(settings.file_persistence_dir)


def open_dynamo(settings: Settings, tables: Tables) -> Engine:
    """The engine on DynamoDB; nothing is sent before its first call. Raises ConfigurationError."""
    from bluestar_store.engines.dynamo.connection import AwsConnection
    from bluestar_store.engines.dynamo.engine import DynamoEngine
    from bluestar_store.models.tables import index_specs

    return DynamoEngine(
        AwsConnection.from_settings(settings),
        indexes=[index for mapper in tables.kinds for index in index_specs(mapper).values()],
        parallel_calls=settings.parallel_calls,
        attempts=settings.conflict_attempts,
    )
