"""A process that signs what it puts into Redis beside one of a release that knows no signatures."""

from __future__ import annotations

from typing import Any

from tests.cache.stores import until
from tests.mixed import jobs
from tests.mixed.releases import Partner
from tests.mixed.test_releases import is_seen


def test_neither_believes_the_others_values_and_both_hear_the_others_writes(
    old: Partner, new: Partner, settings: dict[str, Any]
) -> None:
    old.open(settings)
    new.open(settings | {"cache_key": "k" * 43 + "="})
    old.do(jobs.create)
    for process in (old, new):
        process.do(jobs.put_rule, "ACME", 1)
        assert process.do(jobs.rule, "ACME") == 1
        until(lambda process=process: process.do(jobs.channel), "the channel is there")  # type: ignore[misc]
    for value in (2, 3, 4):
        for writer, reader in ((old, new), (new, old)):
            writer.do(jobs.put_rule, "ACME", value)
            until(lambda reader=reader, value=value: is_seen(reader, "ACME", value), "a put is seen")  # type: ignore[misc]
            assert writer.do(jobs.rule, "ACME") == value
            writer.do(jobs.delete_rule, "ACME")
            until(lambda reader=reader: is_seen(reader, "ACME", None), "a delete is seen")  # type: ignore[misc]
