"""Are there two items of one number, `STEP#100` beside `STEP#0100`? Neither can be preferred, so reads fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.models.kind import Kind
from bluestar_store.protocols import key_of
from bluestar_store.repositories.access import Access


def check(access: Access, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each item whose number another item has.

    Told about the one whose key the library would not build, since only such keys are looked up; of several of them
    about all but the first, unless the library's own is there too.
    """
    suspects: dict[tuple[str, str], tuple[Kind[Any], list[Seen]]] = {}
    for one in page:
        numbered = one.kind is not None and one.kind.keys.sort.numbers
        if one.kind is not None and numbered and one.kind.keys.sort.build(one.identity) != one.key.sk:
            suspects.setdefault((one.kind.name, one.key.pk), (one.kind, []))[1].append(one)
    for kind, together in suspects.values():
        yield from _check_partition(access, kind, together)


def _check_partition(access: Access, kind: Kind[Any], suspects: Sequence[Seen]) -> Iterator[Finding]:
    pk = suspects[0].key.pk
    sks: Mapping[str, list[str]] = {kind.keys.sort.build(one.identity): [] for one in suspects}
    for item in access.partition_items(suspects[0].table, pk, kind.keys.sort.prefix):
        sk = key_of(item).sk
        parsed = kind.keys.sort.parse(sk)
        if parsed is not None and (same := sks.get(kind.keys.sort.build(parsed))) is not None:
            same.append(sk)
    for one in suspects:
        built = kind.keys.sort.build(one.identity)
        others = [sk for sk in sks[built] if sk != one.key.sk]
        if one.key.sk in sks[built] and others and (built in others or min(others) < one.key.sk):
            what = f"has the same number as SK={built if built in others else min(others)}: reads of both fail"
            yield one.finding(Severity.ERROR, "duplicate", what, "delete the one that is not meant to be there")
