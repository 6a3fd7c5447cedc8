"""Opens the document store that the environment's settings ask for."""

from __future__ import annotations

from collections.abc import Iterable

from bluestar_store.documents.dynamo import PynamoStore, connection_of
from bluestar_store.documents.file import FileStore, check_private, default_folder
from bluestar_store.documents.names import dynamo_table_name
from bluestar_store.documents.store import DocumentStore, IdGenerator
from bluestar_store.engines.dynamo.tables import description
from bluestar_store.errors import ConfigurationError
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import PersistenceMode, Settings


@without_locals
def get_store(
    table_name: str,
    pk_name: str,
    id_generator: IdGenerator | None = None,
    *,
    indexes: Iterable[str] = (),
    data_set: str | None = None,
    settings: Settings | None = None,
) -> DocumentStore:
    """The store of a table of documents: a PynamoStore, or with PERSISTENCE_MODE=file a FileStore.

    `pk_name` is the attribute that is the key, a text. `id_generator` gives items without one a key: see `IdGenerator`.
    `indexes` are fields for `find`; where an item has one, it is a text. `data_set` names the test data that fills a
    FileStore at first use. Settings are those of the environment at this moment, unless given.

    Raises InvalidKeyError for a name that no table or key can have, and ConfigurationError.
    """
    settings = settings or Settings()
    if settings.persistence_mode is PersistenceMode.FILE:
        return FileStore(table_name, pk_name, id_generator, indexes=indexes, data_set=data_set, settings=settings)
    if settings.persistence_mode is PersistenceMode.DYNAMO:
        return PynamoStore(table_name, pk_name, id_generator, indexes=indexes, settings=settings)
    raise _no_such_mode(settings)


def table_exists(table_name: str, settings: Settings) -> bool:
    """Whether there is such a table, or test data to begin one with: for commands that only read, and make none."""
    if settings.persistence_mode is PersistenceMode.FILE:
        folder = settings.file_persistence_dir
        if folder is None:
            check_private(folder := default_folder(), table_name)
        return settings.test_data_file is not None or (folder / f"{table_name}.json").exists()
    if settings.persistence_mode is PersistenceMode.DYNAMO:
        return description(connection_of(settings), dynamo_table_name(table_name)) is not None
    raise _no_such_mode(settings)


def _no_such_mode(settings: Settings) -> ConfigurationError:
    return ConfigurationError(
        f"documents have no mode {settings.persistence_mode}: set PERSISTENCE_MODE to dynamo or file"
    )
