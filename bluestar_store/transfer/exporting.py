"""Exporting: every item of a store into a folder of sorted files, in constant memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from immutabledict import immutabledict
from tenacity import sleep_using_event

from bluestar_store.disk import keep_access, new_mode, open_new, sync, sync_folder
from bluestar_store.errors import AccessDeniedError, FileStoreError, ThrottledError
from bluestar_store.keys import Key, shown
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models import digest_keys, index_marks
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.digest_keys import DigestKey, is_digest_key, key_in
from bluestar_store.models.index_marks import is_mark
from bluestar_store.models.merge_marks import MERGING, is_merge_mark
from bluestar_store.protocols import Engine, Item, Page, Segment, key_of, pages, scan_pages
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.revisions import LEVEL_PARTITIONS, REVISED, is_level_revision, without_moves
from bluestar_store.retrying import attempts
from bluestar_store.threads import ahead
from bluestar_store.transfer.digests import Hidden, Salts, digest_scopes, scoped_keys
from bluestar_store.transfer.files import (
    MANIFEST,
    Manifest,
    Progress,
    TableDigest,
    held,
    items_path,
    line_of,
    make_folder,
)
from bluestar_store.transfer.layout import REST, TableMap, TransferStore
from bluestar_store.transfer.sorting import Sorter
from bluestar_store.whole_files import write_whole

SEGMENTS = 4
"""Parts of a table that are read at once: each has two pages in memory, and a page of 1 MB (AWS limit) takes 10 MB."""
THROTTLED_TRIES = 20
"""Of a page, each of as many tries as any call has."""
OWN_PARTITIONS = (index_marks.PARTITION, digest_keys.PARTITION, digest_keys.SALTS, LEVEL_PARTITIONS)
"""What the partitions begin with that have what is of this store's tables and nobody else's."""
NO_ITEMS: Mapping[Key, Item] = immutabledict()
SCRATCH = ".export-"
"""What the folder of an export that is under way begins with."""


@without_locals
def export(
    source: TransferStore,
    folder: Path,
    *,
    plans: Collection[str] | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write all items to a folder; returns its manifest, which is written last: without one an export is no export.

    `plans` limits it to what these plans have of their own: rules, pipelines, configs, schemas, holds, batches with
    results and trails, and whatever names the plan in `plan_id`. A folder that holds an export is refused with
    FileStoreError unless `replace`. Reads are consistent, but not as of one moment: stop the writers first when the
    export has to be. Progress counts the items read; its total is the engine's own count, on DynamoDB an old one. Warns
    of a plan that nothing belongs to.
    """
    if isinstance(plans, str) or (plans is not None and not plans):
        raise ValueError("plans must be a collection of plan ids, or None for all items")
    make_folder(folder)
    with held(folder, "export"):
        if (folder / MANIFEST).exists() and not replace:
            raise FileStoreError(
                f"{folder} holds an export already; replace it (replace=True, or --replace at the terminal), "
                "or take another folder"
            )
        for left in folder.glob(f"{SCRATCH}*"):  # of a process that was killed
            shutil.rmtree(left)
        before = _files_of_an_export(folder)
        wanted = PlanFilter(source, plans) if plans is not None else None
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
            written = {}
            keys = source.digests.ring()
            for table, lines in _sorted_tables(
                source, Path(scratch), wanted, progress, keys, spare=_spare_key(source, wanted)
            ):
                path = items_path(Path(scratch), table)
                with open_new(
                    path, new_mode(folder.stat())
                ) as file:  # new: the names of two tables may be one where case is ignored
                    written[table] = _digest(lines, file.write)
                    file.flush()
                    if path.name in before:
                        keep_access(file.fileno(), before[path.name])
                    sync(file.fileno())
            manifest = Manifest(_in_use(source, written), None if plans is None else tuple(sorted(plans)))
            (folder / MANIFEST).unlink(missing_ok=True)
            for table in written:
                place = items_path(folder, table)
                if table in manifest.tables:
                    items_path(Path(scratch), table).replace(place)
                else:
                    place.unlink(missing_ok=True)
        sync_folder(folder)
        write_whole(folder / MANIFEST, manifest.to_bytes(), like=before.get(MANIFEST))
    if wanted is not None and (unseen := sorted(wanted.plans - wanted.seen)):
        warnings.warn(f"nothing belongs to plan {', '.join(map(shown, unseen))}", stacklevel=2)
    return manifest


def _files_of_an_export(folder: Path) -> dict[str, os.stat_result]:
    """What is there already, by its name. FileStoreError for a symbolic link, which would be replaced by a file."""
    found = {path.name: path.lstat() for path in (folder / MANIFEST, *folder.glob("*.jsonl")) if os.path.lexists(path)}
    for name, status in found.items():
        if stat.S_ISLNK(status.st_mode):
            raise FileStoreError(f"{folder / name} is a symbolic link: export to the folder that it leads to")
    return found


@without_locals
def digests(
    source: TransferStore,
    folder: Path,
    progress: Progress | None = None,
    *,
    keys: Mapping[Key, Item],
) -> Manifest:
    """The manifest that an export would have; the folder is only for sorting, and left empty.

    `keys` are the items of keys of digests that it would carry besides the store's own, and the salts of its files:
    where the store's would be encrypted anew, or be others, these count.
    """
    known = (*filter(None, map(key_in, keys.values())), *source.digests.ring())
    carried = tuple({key.place: key for key in known}.values())
    with held(folder, "sort"), tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
        tables = _sorted_tables(source, Path(scratch), None, progress, carried, keys, "verify")
        return Manifest(_in_use(source, {table: _digest(lines) for table, lines in tables}))


def _spare_key(source: TransferStore, wanted: PlanFilter | None) -> DigestKey | None:
    """A key of digests for an export of all items of a store that has none yet: what its salts follow from.

    Whoever imports the export has it from then on, and makes equal exports. Not where keys are encrypted: that writes.
    """
    is_free = wanted is None and not source.digests.has_any and not source.digests.encrypts
    return DigestKey.random() if is_free else None


def _in_use(source: TransferStore, tables: dict[str, TableDigest]) -> dict[str, TableDigest]:
    """The eight tables always, the rest of layout `single` when there is any: so that layouts can be compared."""
    names = (*TableMap(source.tables).names, REST)
    return {name: tables[name] for name in names if name in tables and (tables[name].items or name != REST)}


def _digest(lines: Iterable[bytes], write: Callable[[bytes], Any] = len) -> TableDigest:
    digest, count = hashlib.sha256(), 0
    for line in lines:
        digest.update(line)
        write(line)
        count += 1
    return TableDigest(count, digest.hexdigest())


def _sorted_tables(
    source: TransferStore,
    scratch: Path,
    wanted: PlanFilter | None,
    progress: Progress | None,
    keys: Sequence[DigestKey],
    given: Mapping[Key, Item] = NO_ITEMS,
    what: str = "export",
    spare: DigestKey | None = None,
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each table with its lines in order, and its salt where it needs one; to be taken one after the other.

    That of bank accounts is the last, for the `spare` key is needed where some file has a salt.
    `keys` are those of digests: all of them lie beside bank accounts; of some plans, those that `digest_scopes` tells.
    `given` takes the place of what would be made for this export alone: see `digests`.
    """
    table_map, engine = TableMap(source.tables), source.engine
    salts = Salts(keys or filter(None, [spare]))
    is_salted = False
    scopes: set[str] = set()
    total = _count(source) if progress is not None else None
    done = 0
    for on_disk, table in sorted(table_map.sources.items(), key=lambda one: one[1] == digest_keys.KEPT_WITH.table):
        sorters = {name: Sorter(scratch, name) for name in ([table] if table else [*table_map.names, REST])}
        beside, hidden = sorters.get(digest_keys.KEPT_WITH.table), Hidden(table_map)
        with _pages(engine, on_disk) as pages:
            for items in pages:
                for item in items:
                    at = key_of(item)
                    kept = _exported(at, item)
                    if kept is None:
                        continue
                    place, plain = (table, kept) if table else table_map.outgoing(kept)
                    if wanted is None or wanted.wants(plain):
                        line = line_of(plain)
                        sorters[place].add(at if table else key_of(plain), line)
                        hidden.inspect(place, plain)
                        if wanted is not None:
                            scopes.update(digest_scopes(table_map, plain, wanted.wants))
                done += len(items)
                if progress is not None:
                    progress(what, done, total)
        if beside is not None:
            if spare is not None and not keys and (is_salted or hidden.tables):
                keys = (spare,)
            carried = keys if wanted is None else scoped_keys(keys, scopes)
            found = source.digests.at_rest(carried, whole=wanted is None)
            for at, item in found.items():
                beside.add(at, line_of(given.get(at, item)))
            if found:  # which are salt enough
                hidden.tables.discard(digest_keys.KEPT_WITH.table)
        is_salted = is_salted or bool(hidden.tables)
        for name in hidden.tables:
            salt = salts.of(name)
            at = key_of(salt)
            sorters[name].add(at, line_of(given.get(at, salt)))
        for name in list(sorters):
            yield name, sorters.pop(name).lines()
    if all(table_map.sources.values()):
        yield REST, iter(())


def _exported(key: Key, item: Item) -> Item | None:
    """The item without what is of this store's tables and nobody else's; None when that is all of it.

    Keys of digests are added behind the items.
    """
    if not (key.pk.startswith(OWN_PARTITIONS) or key.sk in REVISED or key.sk.endswith(MERGING)):
        return item  # nearly every one
    if is_mark(key) or is_level_revision(key) or is_merge_mark(key) or is_digest_key(key):
        return None
    kept = without_moves(item)
    return None if kept is not item and len(kept) == len(key) < len(item) else kept


def _pages(engine: Engine, table: str) -> AbstractContextManager[Iterator[list[Item]]]:
    """The pages of a table; where a call is a round trip, several segments of a large one are read at once."""
    if engine.parallel_calls < 2:
        return nullcontext(scan_pages(engine, table))
    over = threading.Event()
    first = _page(engine, table, over)
    if first.cursor is None:
        return nullcontext(iter((first.items,)))
    count = min(SEGMENTS, engine.parallel_calls)
    segments = [Segment(number, count) for number in range(count)]
    return closing(ahead(*(pages(partial(_page, engine, table, over, segment)) for segment in segments), over=over))


def _page(
    engine: Engine,
    table: str,
    over: threading.Event,
    segment: Segment | None = None,
    cursor: str | None = None,
    *,
    sk_prefix: str = "",
) -> Page:
    """One page; when it is throttled, which several at once easily are, it waits, unless all is over."""
    patient = attempts(ThrottledError, most=THROTTLED_TRIES, given_up=over, sleep=sleep_using_event(over))
    return patient(engine.scan, table, sk_prefix=sk_prefix, cursor=cursor, consistent=True, segment=segment)


def _count(source: TransferStore) -> int | None:
    try:
        return sum(source.engine.describe(spec).item_count for spec in source.tables.specs()) or None
    except AccessDeniedError:  # who may read need not be allowed to describe
        return None


class PlanFilter:
    """What belongs to some plans. Keeps the keys of their batches, whose other items do not name the plan.

    `seen`: the plans that something belongs to.
    """

    def __init__(self, source: TransferStore, plans: Collection[str]) -> None:
        self._table_map, self.plans = TableMap(source.tables), frozenset(plans)
        self.seen: set[str] = set()
        self._batches: set[str] = set()
        table, over = source.tables.name(BATCH_STATE), threading.Event()
        for items in pages(lambda cursor: _page(source.engine, table, over, cursor=cursor, sk_prefix="STATE")):
            self._batches.update(key_of(item).pk for item in items if BATCH_STATE.owns(item) and self._named(item))

    def wants(self, item: Item) -> bool:
        """Whether the item is one of these plans'."""
        key = key_of(item)
        _, identity = self._table_map.identity(key)
        if "plan_id" in identity:
            return self._is_one(identity["plan_id"])
        if identity.get("partition") is not None:
            return self._wants_trail(identity["table"], identity["partition"])
        return key.pk in self._batches or self._named(item)

    def _named(self, item: Item) -> bool:
        return self._is_one(item.get("plan_id", {}).get("S"))

    def _is_one(self, plan_id: str | None) -> bool:
        if plan_id not in self.plans:
            return False
        self.seen.add(plan_id)
        return True

    def _wants_trail(self, table: str, pk: str) -> bool:
        if pk in self._batches:
            return True
        return any(self._is_one(_plan_in(mapper, pk)) for mapper in self._table_map.kinds if mapper.table == table)


def _plan_in(mapper: Mapper[Any], pk: str) -> Any:
    """The plan that a partition key of this kind names."""
    for template, fixed in mapper.keys.forms:
        if (found := template.parse(pk)) is not None:
            return {**fixed, **found}.get("plan_id")
    return None
