"""Importing: an export into empty tables, or item by item into tables in use.

Everything is checked before anything is written. A small file beside the export remembers how far an import came, so
that the next run after kill -9 goes on from there; what lies behind that point it compares before it writes.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from bluestar_store.disk import read_plain
from bluestar_store.engines.checks import check_key
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.errors import ConflictError, FileStoreError, ImportRefusedError, InvalidKeyError
from bluestar_store.keys import Key
from bluestar_store.models.audit import Trail
from bluestar_store.models.digest_keys import CURRENT, SALTS, is_digest_key
from bluestar_store.models.index_marks import is_mark
from bluestar_store.protocols import Engine, Item, key_of, pages
from bluestar_store.protocols.items import chunks
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.rulesets.loading import LOADS
from bluestar_store.threads import Pool
from bluestar_store.transfer.files import (
    ExportedPartition,
    Manifest,
    Progress,
    Record,
    TableDigest,
    exported_partitions,
    held,
    read_items,
)
from bluestar_store.transfer.layout import MARK, REST, AuditedStore, TableMap, TransferStore, Unmarked
from bluestar_store.transfer.merge.aggregate_merge import AggregateMerge, ExportedAggregate
from bluestar_store.transfer.merge.aggregates import METADATA, PIPELINES, pipeline_of
from bluestar_store.transfer.merge.comparing import COMPARED_ITEMS, ImportReport, write_compared
from bluestar_store.whole_files import write_whole

ROUND_ITEMS, ROUND_BYTES = 1000, 8 * 1024 * 1024
"""Items between two notes of how far an import came: all of them are in memory."""
MERGE = "merge into them (merge=True, or --merge at the terminal), or import into empty tables"
LOST = (
    f"what to do with items that tell no table: in layout single, give each an attribute {MARK} (S) with the name of "
    "the table that it belongs to, such as processing-metadata, or delete it; then export again"
)
IMPORTS = Trail(table=LOADS.table, partition="IMPORTS")
"""The trail that has one entry for each merge that wrote something."""
LOOKED_AT = 20
"""Items that are read at once to see whether a table is empty."""
SHOWN = 10
"""Refused items that an error names."""


def _nothing() -> None:
    """Before a write that leaves no entry."""


@without_locals
def import_(
    target: AuditedStore,
    folder: Path,
    *,
    merge: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    actor: str | None = None,
) -> ImportReport:
    """Bring an export into an empty target, every item exactly as it was, its version too.

    A target that is not empty is refused with ConflictError, unless `merge`: then what is absent is written, what
    differs is left alone and reported, or with `overwrite` replaced if it is still at the version that was compared.
    What replaces an item gets a version above that one's, unless its own is higher, so that whoever read it before
    sees a change; where only a lower version differs, the item counts as the same. An item whose `version` is no
    number to check, or that is another table's in layout `single`, is left alone always. So is what has to stay whole:
    the target's batches with all that lies under their ids, its audit trails, holds, and pipelines of another revision.

    A merge that writes leaves one entry in the trail IMPORTS, with the export's digest and `actor`, the setting's where
    none is given. An import into an empty target leaves none: it is a copy.

    Raises before anything is written: FileStoreError and ItemDecodeError (file, line) for an export that is not as
    it was made, ImportRefusedError with the first items that cannot lie in the target. Goes on after an interruption:
    run it again. Caches are not told: call
    `store.cache.clear()` afterwards, as the command does, or they follow within their TTL.
    """
    if overwrite and not merge:
        raise ValueError("overwrite belongs to merge: without it the target must be empty")
    with held(folder, "import"):
        importing = Import(target, folder, progress)
        details = {"export": importing.manifest.digest, "items": importing.manifest.items, "overwrite": overwrite}
        record = _Once(lambda: target.audit.append(IMPORTS, action="import", actor=actor, details=details))
        report = importing.run(merge=merge, overwrite=overwrite, before_write=record if merge else _nothing)
        importing.state.remove()
    return report


class Import:
    """One export on its way into one target. The folder is held by the caller."""

    def __init__(self, target: TransferStore, folder: Path, progress: Progress | None) -> None:
        self._target, self._folder, self._progress = target, folder, progress
        self._table_map = TableMap(target.tables)
        self.manifest = Manifest.read(folder)
        if unknown := self.manifest.tables.keys() - {*self._table_map.names, REST}:
            raise FileStoreError(
                f"{folder} has tables that are not known here: {', '.join(sorted(unknown))}; kinds of your own are "
                "named by BLUESTAR_KINDS"
            )
        self.state = ImportProgress(folder, target, self.manifest)

    def is_begun(self) -> bool:
        """Whether an earlier run began to write, and the target still has what that one noted."""
        return (
            self.state.load() and self.state.is_true_of(self._target, self._table_map) and bool(_filled(self._target))
        )

    def run(
        self, *, merge: bool = False, overwrite: bool = False, before_write: Callable[[], None] = _nothing
    ) -> ImportReport:
        """Check and write. The caller removes `state` afterwards.

        `before_write` is called, in any thread, before each write of items that were compared.
        """
        resuming = not merge and self.is_begun()
        if not resuming:
            self.state.done.clear()
        if not resuming and not merge:
            check_empty(self._target)
        self._check()
        if not resuming and not merge:
            check_empty(self._target)  # again: to check a large export takes its time
        report = ImportReport(resumed=sum(count for count, _ in self.state.done.values()))
        done = report.resumed
        if not merge:
            self.state.save()  # before the first write: what is in the target from now on is ours
        with Pool(self._target.engine.parallel_calls, "bluestar-import") as pool:
            if merge:
                merging = AggregateMerge(self._target, self._table_map, overwrite=overwrite, before_write=before_write)
                for portions in chunks(_portions(self._aggregates()), ROUND_ITEMS // COMPARED_ITEMS):
                    report = sum(pool.map(merging.merge, portions), report)
                    done += sum(aggregate.count for portion in portions for aggregate in portion)
                    self._tell("import", done)
            for table, records in self._rounds((METADATA, PIPELINES) if merge else ()):
                items = [
                    self._table_map.incoming(table, key, item)
                    for key, item, _ in records
                    if not is_mark(key) and key != CURRENT and key.pk != SALTS
                ]
                if merge or resuming:
                    write = self._comparing(table, overwrite, before_write)
                    report = sum(pool.map(write, chunks(items, COMPARED_ITEMS)), report)
                else:
                    salts = sum(record.key.pk == SALTS for record in records)  # whose place is the export
                    written = self._target.engine.put_many(self._table_map.on_disk(table), items)
                    report += ImportReport(written=written + salts)
                done += len(items)
                if not merge:
                    self.state.done[table] = self.state.count(table) + len(items), records[-1].key
                    self.state.save()
                self._tell("import", done)
        return report

    def _check(self) -> None:
        """Read everything once; ImportRefusedError with the items that cannot lie in the target."""
        refused: list[str] = []
        count = done = 0
        unmarked = Unmarked(self._target, self._table_map)
        streams = (self._checked(table, digest, unmarked) for table, digest in self.manifest.tables.items())
        for key, found in groupby(heapq.merge(*streams), key=itemgetter(0)):
            places = [(table, reason) for _, table, reason in found]
            reasons = [f"{table}: {key}: {reason}" for table, reason in places if reason]
            if self._table_map.single and len(places) > 1:
                tables = " and ".join(table for table, _ in places)
                reasons.append(f"{tables}: {key}: has a place in one of them only in layout single")
            refused += reasons[: SHOWN - len(refused)]
            count += bool(reasons)
            done += len(places)
            if done % ROUND_ITEMS < len(places):
                self._tell("check", done)
        self._tell("check", done)
        if count:
            items = f"{count} item{'s' if count != 1 else ''}"
            lines = [f"{items} cannot lie in {self._target.engine.location}; nothing was written:"]
            lines += [f"  {reason}" for reason in refused]
            if count > len(refused):
                lines.append("  ...")
            if not self._table_map.single and REST in self.manifest.tables:
                lines.append(LOST)
            raise ImportRefusedError(lines)
        unmarked.distrust()

    def _checked(self, table: str, digest: TableDigest, unmarked: Unmarked) -> Iterator[tuple[Key, str, str]]:
        """Each key of one table, in order, with the reason why it cannot lie in the target, if there is one."""
        for key, item, _ in read_items(self._folder, table, digest):
            try:
                self._table_map.incoming(table, key, item)
            except ValueError as error:
                yield key, table, str(error)
            else:
                unmarked.inspect(table, item)
                yield key, table, ""

    def _aggregates(self) -> Iterator[ExportedAggregate]:
        """The partitions of the tables that have aggregates; a pipeline's with that of its trail."""
        tables, trails = self.manifest.tables, dict[str, ExportedPartition]()
        if METADATA in tables:
            for partition in exported_partitions(self._folder, METADATA, tables[METADATA]):
                if pipeline := pipeline_of(partition.pk):
                    trails[pipeline] = replace(partition, kept=None)  # read again, rather than all of them in memory
                elif partition.pk != SALTS and not is_mark(Key(partition.pk, "")):
                    yield ExportedAggregate((partition,), self._table_map)
        if PIPELINES in tables:
            for partition in exported_partitions(self._folder, PIPELINES, tables[PIPELINES]):
                if partition.pk == SALTS:
                    continue
                trail = trails.pop(partition.pk, None)
                yield ExportedAggregate((partition, trail) if trail else (partition,), self._table_map)
        yield from (ExportedAggregate((trail,), self._table_map) for trail in trails.values())

    def _rounds(self, left_out: Collection[str] = ()) -> Iterator[tuple[str, list[Record]]]:
        """What is not done yet, in portions that fit into memory."""
        for table, digest in self.manifest.tables.items():
            if table in left_out:
                continue
            records: list[Record] = []
            size = 0
            lines = read_items(self._folder, table, digest, trusting=True)
            for record in islice(lines, self.state.count(table), None):
                records.append(record)
                size += record.line_bytes
                if len(records) == ROUND_ITEMS or size > ROUND_BYTES:
                    yield table, records
                    records, size = [], 0
            if records:
                yield table, records

    def _comparing(
        self, table: str, overwrite: bool, before_write: Callable[[], None]
    ) -> Callable[[Sequence[Item]], ImportReport]:
        return lambda items: write_compared(
            self._target, self._table_map, table, items, overwrite=overwrite, before_write=before_write
        )

    def _tell(self, what: str, done: int) -> None:
        if self._progress is not None:
            self._progress(what, done, self.manifest.items)


def _portions(aggregates: Iterable[ExportedAggregate]) -> Iterator[list[ExportedAggregate]]:
    """Small aggregates together, as many as have the items of one transaction; each large one alone."""
    portion, count = list[ExportedAggregate](), 0
    for aggregate in aggregates:
        if portion and count + aggregate.count > COMPARED_ITEMS:
            yield portion
            portion, count = [], 0
        portion.append(aggregate)
        count += aggregate.count
    if portion:
        yield portion


class _Once:
    """Calls something at the first call; the others wait until that is done. Safe for threads."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call, self._lock, self._done = call, threading.Lock(), False

    def __call__(self) -> None:
        with self._lock:
            if not self._done:
                self._call()
                self._done = True


def check_empty(target: TransferStore, instead: str = MERGE) -> None:
    """ConflictError, naming the tables, when there are items in the target. `instead`: what to do then."""
    if filled := _filled(target):
        raise ConflictError(f"{target.engine.location} is not empty: there are items in {', '.join(filled)}; {instead}")


def is_empty(target: TransferStore) -> bool:
    """Whether there are no items in the target, as `check_empty` demands."""
    return not _filled(target)


def _filled(target: TransferStore) -> list[str]:
    """The tables, by their names on disk, that have items."""
    names = [spec.name for spec in target.tables.specs()]
    return [name for name in names if _is_filled(target.engine, name)]


def _is_filled(engine: Engine, table: str) -> bool:
    """Whether a table has an item that counts: the marks of indexes and the keys of digests are the target's own."""
    found = pages(lambda cursor: engine.scan(table, limit=LOOKED_AT, cursor=cursor, consistent=True))
    return any(not (is_mark(key_of(item)) or is_digest_key(key_of(item))) for page in found for item in page)


MAX_STATE_BYTES = 1024 * 1024


class ImportProgress:
    """How far an import came: how many items of each table are in the target, and the key of the last one."""

    def __init__(self, folder: Path, target: TransferStore, manifest: Manifest) -> None:
        place = [target.engine.location, *(spec.name for spec in target.tables.specs())]
        name = hashlib.sha256(json.dumps(place).encode()).hexdigest()[:16]
        self._path = folder / f".import-{name}.json"
        self._manifest = manifest
        self.done: dict[str, tuple[int, Key]] = {}

    def count(self, table: str) -> int:
        """How many items of the table are done."""
        return self.done[table][0] if table in self.done else 0

    def load(self) -> bool:
        """Whether an interrupted run of this very export left its notes; `done` is what they say.

        What lies there and is none of ours counts as nothing, and is replaced.
        """
        try:
            content = exact_json(read_plain(self._path, MAX_STATE_BYTES))
            done = {table: (count, Key(pk, sk)) for table, (count, pk, sk) in content["done"].items()}
            is_ours = content["export"] == self._manifest.digest and done.keys() <= self._manifest.tables.keys()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        if not is_ours or not all(type(count) is int and count >= 0 and _is_key(key) for count, key in done.values()):
            return False
        self.done = done
        return True

    def is_true_of(self, target: TransferStore, table_map: TableMap) -> bool:
        """Whether the target has what the notes say: it may have been made anew since."""
        return all(target.engine.get(table_map.on_disk(t), [key], consistent=True) for t, (_, key) in self.done.items())

    def save(self) -> None:
        """Note it, durably."""
        done = {table: [count, *key] for table, (count, key) in self.done.items()}
        write_whole(self._path, json.dumps({"export": self._manifest.digest, "done": done}).encode())

    def remove(self) -> None:
        """The import is complete."""
        self._path.unlink(missing_ok=True)


def _is_key(key: Key) -> bool:
    try:
        check_key("", key)
    except InvalidKeyError:
        return False
    return True
