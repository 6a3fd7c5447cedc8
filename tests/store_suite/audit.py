"""Audit trails: what a chain shows of whoever touched it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest

from bluestar_store.errors import ConfigurationError, ConflictError, InvalidEntityError
from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD, Trail
from bluestar_store.protocols import Delete, Item
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.trail import entry_hash
from bluestar_store.store import Store
from tests.store_suite.side_door import BeforeWrite, RawGet, RawPut, in_thread, table

ENTRIES = 4


def trail_of(store: Store) -> None:
    for number in range(1, ENTRIES + 1):
        store.audit.append("b", actor="A", action=f"act{number}", details={"n": number})


def _key(number: int) -> Key:
    return Key("BATCH#b", f"AUDIT#{number:08d}")


class AuditTests:
    """Audit trails: append-only, numbered, chained, verified."""

    def test_entries_are_numbered_and_chained(self, store: Store) -> None:
        trail_of(store)
        entries = store.audit.entries("b")
        assert [(entry.seq, entry.action) for entry in entries] == [(n, f"act{n}") for n in range(1, ENTRIES + 1)]
        assert [entry.previous for entry in entries] == [None, *(entry.hash for entry in entries[:-1])]
        assert all(entry.hash == entry_hash(entry) for entry in entries)
        assert store.audit.verify("b") == ()
        assert store.audit.verify("none") == ()

    def test_a_trail_may_be_another_items(self, store: Store) -> None:
        trail = Trail(table="calculation-rules", partition="CLIENT#ACME")
        store.audit.append(trail, action="put")
        assert [entry.action for entry in store.audit.entries(trail)] == ["put"]
        assert store.audit.verify(trail) == ()

    def test_several_entries_of_a_unit_follow_on_each_other(self, store: Store) -> None:
        with store.unit_of_work() as uow:
            trail_of(store)
            assert len(uow.audit.entries("b")) == ENTRIES
        assert len(store.audit.entries("b")) == ENTRIES
        assert store.audit.verify("b") == ()

    @pytest.mark.every_engine
    def test_an_entry_that_comes_in_between_is_followed_on(self, store: Store, before_write: BeforeWrite) -> None:
        before_write(lambda: store.audit.append("b", action="theirs"))
        with store.unit_of_work() as uow:
            uow.audit.append("b", action="ours")
            uow.audit.append("b", action="ours, too")
        assert [entry.action for entry in store.audit.entries("b")] == ["theirs", "ours", "ours, too"]
        assert store.audit.verify("b") == ()

    @pytest.mark.parametrize(
        ("change", "seq", "what"),
        [
            ("changed", 2, "changed"),
            ("changed and hashed anew", 3, "put in or moved"),
            ("removed", 2, "removed"),
            ("first removed", 1, "removed"),
            ("swapped", 2, "changed"),
            ("cut off", ENTRIES, "cut off"),
            ("appended past the head", ENTRIES + 1, "put in"),
            ("last changed and hashed anew", ENTRIES, "another last entry"),
            ("unreadable", 2, "changed"),
            ("written again", 2, "version"),
            ("another writer", 2, "bs_actor"),
            ("no writer", 2, "bs_actor"),
            ("another batch's", 2, "batch_id"),
            ("nobody's", 2, "batch_id"),
            ("in other words", 2, "seq"),
            ("with more", 2, "bs_plan"),
            ("at another key", 2, "SK"),
            ("put in twice", 2, "twice"),
            ("put in twice before", 2, "SK='AUDIT#0000000002' was put in"),
            ("put in before the first", 0, "put in"),
            ("put in far away", ENTRIES + 1, f"no entries {ENTRIES + 1} to {10**12 - 1}"),
            ("put in under no number", int("9" * 200), "changed"),
        ],
    )
    def test_what_was_done_to_a_trail_is_found_and_named(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, change: str, seq: int, what: str
    ) -> None:
        trail_of(store)
        name = table(store, AUDIT_ENTRY)

        def stored(number: int) -> Item:
            found = raw_get(name, _key(number))
            assert found is not None
            return found

        def rehashed(item: Item) -> Item:
            return {**item, "hash": {"S": entry_hash(AUDIT_ENTRY.decode(item))}}

        match change:
            case "changed":
                raw_put(name, {**stored(2), "actor": {"S": "B"}})
            case "changed and hashed anew":
                raw_put(name, rehashed({**stored(2), "action": {"S": "other"}}))
            case "removed":
                store.engine.write(Delete(name, _key(2)))
            case "first removed":
                store.engine.write(Delete(name, _key(1)))
            case "swapped":
                two, three = stored(2), stored(3)
                raw_put(name, {**three, "SK": two["SK"], "seq": two["seq"]})
                raw_put(name, {**two, "SK": three["SK"], "seq": three["seq"]})
            case "cut off":
                store.engine.write(Delete(name, _key(ENTRIES)))
            case "appended past the head":
                last = stored(ENTRIES)
                added = {"SK": {"S": _key(ENTRIES + 1).sk}, "seq": {"N": str(ENTRIES + 1)}, "previous": last["hash"]}
                raw_put(name, rehashed({**last, **added}))
            case "last changed and hashed anew":
                raw_put(name, rehashed({**stored(ENTRIES), "action": {"S": "other"}}))
            case "unreadable":
                raw_put(name, {**stored(2), "at": {"S": "no time"}})
            case "written again":
                raw_put(name, {**stored(2), "version": {"N": "2"}})
            case "another writer":
                raw_put(name, {**stored(2), "bs_actor": {"S": "B"}})
            case "no writer":
                raw_put(name, {attribute: value for attribute, value in stored(2).items() if attribute != "bs_actor"})
            case "another batch's":
                raw_put(name, {**stored(2), "batch_id": {"S": "c"}})
            case "nobody's":
                raw_put(name, {**stored(2), "batch_id": {"NULL": True}})
            case "in other words":
                raw_put(name, {attribute: value for attribute, value in stored(2).items() if attribute != "seq"})
            case "with more":
                raw_put(name, {**stored(2), "bs_plan": {"S": "ACME"}})
            case "at another key":
                moved = {**stored(2), "SK": {"S": "AUDIT#2"}}
                store.engine.write(Delete(name, _key(2)))
                raw_put(name, moved)
            case "put in twice":
                raw_put(name, {**stored(2), "SK": {"S": "AUDIT#2"}})
            case "put in twice before":
                raw_put(name, {**stored(2), "SK": {"S": "AUDIT#0000000002"}})
            case "put in far away":
                raw_put(name, {**stored(2), "SK": {"S": f"AUDIT#{10**12}"}})
            case "put in under no number":
                raw_put(name, {**stored(2), "SK": {"S": "AUDIT#" + "9" * 200}})
            case "put in before the first":
                raw_put(name, rehashed({**stored(1), "SK": {"S": _key(0).sk}, "seq": {"N": "0"}}))
        faults = store.audit.verify("b")
        assert seq in [fault.seq for fault in faults]
        assert what in next(fault.what for fault in faults if fault.seq == seq)

    def test_what_cannot_be_written_is_refused_and_takes_no_other_entry_with_it(self, store: Store) -> None:
        for details in ({"name": "x\ud800"}, {"x\ud800": 1}, {"names": [{"name": {"x\ud800"}}]}):
            with pytest.raises(InvalidEntityError, match="is not valid Unicode"):
                store.audit.append("b", action="put", details=details)
        for action in ("", None):
            with pytest.raises(InvalidEntityError, match="needs an action"):
                store.audit.append("b", action=action)  # type: ignore[arg-type]  # as a program without types may
        assert store.audit.entries("b") == ()

    def test_an_append_to_a_trail_whose_head_is_behind_its_entries_says_so(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        trail_of(store)
        name, place = table(store, AUDIT_ENTRY), Key("BATCH#b", "CHAIN")
        head = raw_get(name, place)
        assert head is not None
        raw_put(name, {**head, "seq": {"N": "2"}})
        with pytest.raises(ConflictError, match=r"there is an entry 3.*knows of 2.*audit verify"):
            store.audit.append("b", action="more")
        with pytest.raises(ConflictError, match="audit verify"), store.unit_of_work():
            store.audit.append("b", action="more")
        store.engine.write(Delete(name, place))
        with pytest.raises(ConflictError, match=r"there is an entry 1.*knows of 0"):
            store.audit.append("b", action="more")

    @pytest.mark.every_engine
    def test_others_that_get_ahead_of_a_unit_while_it_is_made_again_are_no_broken_trail(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, get = store.engine.write, store.engine.get
        theirs = [["one"], ["two", "three"]]

        def append_theirs() -> None:
            for action in theirs.pop(0):
                in_thread(partial(store.audit.append, "b", action=action))

        def late_write(*writes: Any) -> None:
            if len(theirs) == 2:
                append_theirs()
            write(*writes)

        def late_get(name: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
            asked = list(keys)
            found = get(name, asked, consistent=consistent)
            if len(theirs) == 1 and asked == [_key(2)]:
                append_theirs()
            return found

        monkeypatch.setattr(store.engine, "write", late_write)
        monkeypatch.setattr(store.engine, "get", late_get)
        with store.unit_of_work() as uow:
            uow.audit.append("b", action="ours")
            uow.audit.append("b", action="ours, too")
        assert theirs == []
        assert [entry.action for entry in store.audit.entries("b")] == ["one", "two", "three", "ours", "ours, too"]
        assert store.audit.verify("b") == ()

    def test_no_repository_changes_or_deletes_an_entry(self, store: Store) -> None:
        for kind in (AUDIT_ENTRY, CHAIN_HEAD):
            with pytest.raises(ConfigurationError, match=r"store\.audit"):
                store.repository(kind)
            with pytest.raises(ConfigurationError, match=r"store\.audit"):
                store.repository(kind, Repository)

    @pytest.mark.every_engine
    def test_a_head_that_was_removed_is_found(self, store: Store) -> None:
        trail_of(store)
        store.engine.write(Delete(table(store, AUDIT_ENTRY), Key("BATCH#b", "CHAIN")))
        (fault,) = store.audit.verify("b")
        assert (fault.seq, "head was removed" in fault.what) == (None, True)
