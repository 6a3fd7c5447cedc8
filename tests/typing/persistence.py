"""How agents use the drop-in, as mypy in strict mode has to understand it. Checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

from bluestar_store import Settings
from bluestar_store.files.local import LocalFileStore
from bluestar_store.persistence import (
    DynamoDBRulesStore,
    EngineRulesStore,
    IBatchStore,
    ICacheBackend,
    IFileStore,
    IRulesStore,
    ISQLClient,
    MemoryCacheBackend,
    MemoryFileStore,
    MemoryRulesStore,
    RedisCacheBackend,
    S3FileStore,
    SQLClient,
    create_persistence,
)
from bluestar_store.persistence.opening import NoFileStore
from tests.persistence.test_file_stores import OldFiles
from tests.persistence.test_protocols import OldBatches, OldRules


def every_implementation_is_its_protocol(engine_store: EngineRulesStore) -> None:
    rules: list[IRulesStore] = [engine_store, DynamoDBRulesStore(), MemoryRulesStore(), OldRules()]
    batches: list[IBatchStore] = [engine_store, DynamoDBRulesStore(), MemoryRulesStore(), OldBatches()]
    caches: list[ICacheBackend] = [RedisCacheBackend(), MemoryCacheBackend()]
    files: list[IFileStore] = [
        S3FileStore("b"), MemoryFileStore(), LocalFileStore("files"), NoFileStore(), OldFiles()
    ]  # fmt: skip
    databases: list[ISQLClient] = [SQLClient("sqlite://")]
    print(rules, batches, caches, files, databases)


def the_three_parts(of_another_shape: object) -> None:
    rules, cache, files = create_persistence()
    assert_type(rules, EngineRulesStore)
    assert_type(cache, ICacheBackend | None)
    assert_type(files, IFileStore)
    create_persistence(Settings(table_suffix="-dev"))
    create_persistence(of_another_shape)
    assert_type(rules.get_calculation_rule("ACME", "match"), dict[str, Any])
    assert_type(rules.get_pipeline("ACME"), list[dict[str, Any]])
    assert_type(rules.get_batch_state("b1"), dict[str, Any])
    assert_type(rules.get_processing_results("b1"), dict[str, dict[str, Any]])
    assert_type(files.write("a", b"x"), str)


def sql(client: SQLClient, old: ISQLClient) -> None:
    assert_type(client.execute("DELETE FROM a WHERE b = :b", {"b": 1}), int)
    assert_type(old.fetch_all("SELECT 1 AS one"), list[dict[str, Any]])
    with client.transaction() as same:
        assert_type(same, SQLClient)
    with old.transaction():
        old.execute("DELETE FROM a", [{"b": 1}, {"b": 2}])


def mistakes_that_the_type_checker_finds(rules: IRulesStore, sql: ISQLClient) -> None:
    # Each ignore below must be needed: mypy reports one that is not.
    rules.get_irs_limits("2026")  # type: ignore[arg-type]  # a year is a number
    rules.get_pipeline("ACME")  # type: ignore[attr-defined]  # of IBatchStore
    sql.execute("SELECT :a", ["a"])  # type: ignore[list-item]  # parameters have names
    sql.fetch_all(b"SELECT 1")  # type: ignore[arg-type]  # a statement is text
