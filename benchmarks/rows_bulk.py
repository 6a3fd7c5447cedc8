"""Bulk work: new items written by `put_many`, and a table exported, in constant memory, by a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from benchmarks import child, pynamodb_models
from benchmarks.bench import Bench
from benchmarks.data import PLAN, item_of, rule
from benchmarks.measure import Contender, Timing, WrongAnswerError, compare, counted, lines
from benchmarks.peers import boto3_client, boto3_table
from benchmarks.processes import told_by_child
from benchmarks.report import Goal, Line
from bluestar_store import Settings, Store
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import Item
from bluestar_store.transfer.files import items_path

NEW, EXPORTED = 10_000, 100_000
PEAK_MB, MB = 200, 1024 * 1024
BATCH_WRITER, SCAN_LOOP = "boto3 batch_writer", "PynamoDB scan loop"


def rows(bench: Bench) -> Iterator[Line]:
    """Each in tables of its own."""
    yield from _put_many(bench)
    yield from _export(bench)


# ---------------------------------------------------------------------------------------------------------- put_many


def _put_many(bench: Bench) -> list[Line]:
    """Every block writes a partition of its own: its items are new."""
    number = bench.rounds(NEW)
    items = [item_of(rule(PLAN, f"{one:06d}")) for one in range(number)]
    with Store.open(bench.dynamo()) as store:
        store.create_tables()
        table, client = store.tables.name(CALCULATION_RULE), boto3_client(store.settings)
        resource = boto3_table(store.settings, table)
        model = pynamodb_models.bound(pynamodb_models.Rule, store.settings, table)
        plain = [_plain(item) for item in items]

        def ours(pk: str) -> None:
            store.engine.put_many(table, (item | {"PK": {"S": pk}} for item in items))

        def batch_writer(pk: str) -> None:
            with resource.batch_writer() as batch:
                for item in plain:
                    batch.put_item(Item=item | {"PK": pk})

        def batch_write(pk: str) -> None:
            with model.batch_write() as batch:
                for item in plain:  # its NumberAttribute knows no Decimal
                    batch.save(model(**item | {"PK": pk, "max_pct": int(item["max_pct"])}))

        def is_there(pk: object) -> bool:
            return _are_in(client, table, str(pk), items)

        contenders = [
            Contender("bluestar-store", _each_in_a_partition("OURS", ours), is_there),
            Contender(BATCH_WRITER, _each_in_a_partition("BOTO3", batch_writer), is_there),
            Contender("PynamoDB batch_write", _each_in_a_partition("PYNAMODB", batch_write), is_there),
        ]
        goals = {BATCH_WRITER: 0.60}
        return compare(
            f"put_many, {number:,} new", contenders, goals, rounds=bench.rounds(5, least=2), calls=1, unit="ms"
        )


def _plain(item: Item) -> dict[str, Any]:
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def _each_in_a_partition(name: str, write: Callable[[str], None]) -> Callable[[int], str]:
    numbers = count()

    def block(_: int) -> str:
        pk = f"CLIENT#{name}{next(numbers)}"
        write(pk)
        return pk

    return block


def _are_in(client: Any, table: str, pk: str, items: Iterable[Item]) -> bool:
    """Whether a partition has these items and no others."""
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="PK = :p",
        ExpressionAttributeValues={":p": {"S": pk}},
        ConsistentRead=True,
    )
    found = [item for page in pages for item in page["Items"]]
    return found == [item | {"PK": {"S": pk}} for item in items]


# ------------------------------------------------------------------------------------------------------------ export


def _export(bench: Bench) -> list[Line]:
    number = bench.rounds(EXPORTED)
    settings = bench.dynamo()
    with Store.open(settings) as store:
        store.create_tables()
        items = (item_of(rule(f"P{plan:06d}")) for plan in range(number))
        store.engine.put_many(store.tables.name(CALCULATION_RULE), items)
    works = {"bluestar-store": child.export_with_store, SCAN_LOOP: child.export_with_pynamodb}
    timings = {name: Timing() for name in works}
    peaks: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(bench.rounds(3, least=1)):
        in_turn = dict(list(works.items())[:: -1 if turn % 2 else 1])
        for name, answer in _exported(in_turn, settings, bench.folder("export"), number).items():
            timings[name].wall.append(answer["wall"])
            timings[name].cpu.append(answer["cpu"])
            peaks[name].append(answer["peak"] / MB)
    work = f"export, {number:,} items"
    measured = lines(work, timings, {SCAN_LOOP: 0.60}, "ms")
    goals = {"bluestar-store": [Goal("worst", PEAK_MB)]}
    peak = [counted(f"{work}: peak RSS", name, "MB", found, *goals.get(name, ())) for name, found in peaks.items()]
    return measured + peak


def _exported(
    works: Mapping[str, Callable[..., Any]], settings: Settings, folder: Path, number: int
) -> dict[str, dict[str, Any]]:
    """What each has told; all have written the same lines."""
    answers = {name: told_by_child(work, settings, folder) for name, work in works.items()}
    written = [
        sorted(path.read_bytes().splitlines())
        for path in (items_path(folder, CALCULATION_RULE.table), folder / child.LINES)
    ]
    shutil.rmtree(folder)
    if [answer["items"] for answer in answers.values()] != [number] * len(works) or written[0] != written[1]:
        raise WrongAnswerError("the exports differ")
    return answers
