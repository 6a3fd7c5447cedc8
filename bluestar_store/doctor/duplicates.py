"""Are there two items of one number, `STEP#100` beside `STEP#0100`? Neither can be preferred, so reads fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import key_of
from bluestar_store.repositories.session import Session


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each item whose number another item has.

    Told about the one whose key the library would not build, since only such keys are looked up; of several of them
    about all but the first, unless the library's own is there too.
    """
    suspects: dict[tuple[str, str], tuple[Mapper[Any], list[Seen]]] = {}
    for one in page:
        numbered = one.mapper is not None and one.mapper.keys.sort.numbers
        if one.mapper is not None and numbered and one.mapper.keys.sort.build(one.identity) != one.key.sk:
            suspects.setdefault((one.mapper.name, one.key.pk), (one.mapper, []))[1].append(one)
    for kind, together in suspects.values():
        yield from _check_partition(session, kind, together)


def _check_partition(session: Session, mapper: Mapper[Any], suspects: Sequence[Seen]) -> Iterator[Finding]:
    pk = suspects[0].key.pk
    sks: Mapping[str, list[str]] = {mapper.keys.sort.build(one.identity): [] for one in suspects}
    for item in session.partition_items(suspects[0].table, pk, mapper.keys.sort.prefix):
        sk = key_of(item).sk
        parsed = mapper.keys.sort.parse(sk)
        if parsed is not None and (same := sks.get(mapper.keys.sort.build(parsed))) is not None:
            same.append(sk)
    for one in suspects:
        built = mapper.keys.sort.build(one.identity)
        others = [sk for sk in sks[built] if sk != one.key.sk]
        if one.key.sk in sks[built] and others and (built in others or min(others) < one.key.sk):
            what = f"has the same number as SK={built if built in others else min(others)}: reads of both fail"
            yield one.finding(Severity.ERROR, "duplicate", what, "delete the one that is not meant to be there")
