"""Sensitive attributes are ciphertext wherever items live, and values to whoever has the key."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bluestar_store.errors import EncryptedValueError, VersionConflictError
from bluestar_store.keys import DEFAULT, Key
from bluestar_store.models.audit import Trail
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.plan_keys import PLAN_KEY
from bluestar_store.protocols import ABSENT, Item
from bluestar_store.settings import Settings
from bluestar_store.store import Store
from tests.store_suite.side_door import RawChange, RawGet, RawPut, table, wire

FIRST, SECOND = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ACCOUNT, ROUTING = "900012345678", "021000021"
PLACE = Key("CLIENT#ACME_Weekly", "ACH")


def with_key(store: Store, key: str | None, **fields: Any) -> Store:
    """Another process over the same items, whose settings have this key."""
    settings = store.settings.model_dump() | {"encryption_key": key} | fields
    return Store(Settings(**settings), store.engine, clock=store.clock)


def ach(**fields: Any) -> AchConfig:
    return AchConfig(
        **{"plan_id": "ACME", "pay_freq": "Weekly", "account_number": ACCOUNT, "routing_number": ROUTING} | fields
    )


class EncryptionTests:
    """Two Stores over the same items: `store` has no key, `keyed` has one."""

    @pytest.fixture
    def keyed(self, store: Store) -> Store:
        """A Store with a key, over the items of `store`, which has none."""
        pytest.importorskip("cryptography")
        return with_key(store, FIRST)

    @pytest.mark.every_engine
    def test_a_sensitive_attribute_is_ciphertext_on_disk_and_its_value_to_who_has_the_key(
        self, store: Store, keyed: Store, raw_get: RawGet
    ) -> None:
        written = keyed.ach_configs.put(ach(bank_id="7"))
        item = stored(raw_get, store)
        assert (written.account_number, written.routing_number) == (ACCOUNT, ROUTING)
        assert {name: next(iter(item[name])) for name in ("account_number", "routing_number", "bank_id")} == {
            "account_number": "B",
            "routing_number": "B",
            "bank_id": "S",
        }
        assert ACCOUNT not in str(item)
        assert ROUTING not in str(item)
        for reader in (keyed, with_key(store, FIRST), with_key(store, f"{SECOND},{FIRST}")):
            assert reader.ach_configs.get("ACME", "Weekly") == written
            assert reader.ach_configs.get("ACME", "Weekly", fresh=True).account_number == ACCOUNT

    def test_without_its_key_an_attribute_is_an_error_that_says_what_is_missing_and_others_are_read(
        self, store: Store, keyed: Store
    ) -> None:
        keyed.ach_configs.put(ach())
        store.ach_configs.put(ach(plan_id="OTHER"))
        keyed.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", custodian="BNY"))
        for reader, said in ((store, "BLUESTAR_ENCRYPTION_KEY"), (with_key(store, SECOND), "is not among those")):
            with pytest.raises(EncryptedValueError, match=said) as caught:
                reader.ach_configs.get("ACME", "Weekly")
            assert (caught.value.pk, caught.value.sk, caught.value.attribute) == (*PLACE, "account_number")
            assert FIRST not in str(caught.value)
            assert SECOND not in str(caught.value)
            assert reader.ach_configs.get("OTHER", "Weekly").account_number == ACCOUNT
            assert reader.client_configs.get("ACME", "Weekly").custodian == "BNY"

    def test_what_is_not_encrypted_yet_is_read_beside_what_is(self, store: Store, keyed: Store) -> None:
        plain = store.ach_configs.put(ach(account_number=None))
        assert keyed.ach_configs.get("ACME", "Weekly") == plain
        half = keyed.ach_configs.put(keyed.ach_configs.get("ACME", "Weekly").model_copy(update={"account_number": "1"}))
        assert (half.account_number, half.routing_number) == ("1", ROUTING)
        assert keyed.ach_configs.get("ACME", "Weekly", fresh=True) == half

    def test_a_value_that_does_not_change_keeps_its_bytes(self, store: Store, keyed: Store, raw_get: RawGet) -> None:
        keyed.ach_configs.put(ach())
        before = stored(raw_get, store)
        read = keyed.ach_configs.get("ACME", "Weekly")
        keyed.ach_configs.put(read.model_copy(update={"bank_id": "8"}))
        keyed.ach_configs.put(ach(bank_id="9"))  # a fresh one, of equal values
        keyed.ach_configs.put(
            keyed.ach_configs.get("ACME", "Weekly", fresh=True).model_copy(update={"routing_number": "011000015"})
        )
        after = stored(raw_get, store)
        assert after["account_number"] == before["account_number"]
        assert after["routing_number"] != before["routing_number"]
        assert after["version"] == {"N": "4"}

    @pytest.mark.every_engine
    def test_writes_expect_the_ciphertext_as_it_was_read(
        self, store: Store, keyed: Store, raw_get: RawGet, change: RawChange
    ) -> None:
        written = keyed.ach_configs.put(ach())
        read = keyed.ach_configs.get("ACME", "Weekly")
        for entity in (written, read):
            with keyed.unit_of_work() as unit:
                unit.check(entity)
                unit.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly"))
        keyed.ach_configs.put(read.model_copy(update={"bank_id": "1"}))
        other = keyed.ach_configs.get("ACME", "Weekly", fresh=True)
        change(table(store, ACH_CONFIG), PLACE, account_number={"S": "5"})  # by a program that knows of no key
        for act in (lambda: keyed.ach_configs.put(other), lambda: keyed.ach_configs.delete(other)):
            with pytest.raises(VersionConflictError) as caught:
                act()
            assert caught.value.attribute == "account_number"
        with pytest.raises(VersionConflictError), keyed.unit_of_work() as unit:
            unit.check(other)
            unit.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly"), expected=None)

    @pytest.mark.parametrize("to", ["another item", "another attribute"])
    def test_a_ciphertext_that_is_copied_elsewhere_does_not_decrypt(
        self, store: Store, keyed: Store, raw_get: RawGet, raw_put: RawPut, to: str
    ) -> None:
        keyed.ach_configs.put(ach())
        copied = stored(raw_get, store)["account_number"]
        if to == "another item":
            raw_put(table(store, ACH_CONFIG), wire("CLIENT#OTHER_Weekly", "ACH", account_number=copied))
            plan = "OTHER"
        else:
            raw_put(table(store, ACH_CONFIG), stored(raw_get, store) | {"routing_number": copied})
            plan = "ACME"
        with pytest.raises(EncryptedValueError, match="copied here from another item, attribute or table"):
            keyed.ach_configs.get(plan, "Weekly")

    def test_a_plan_has_a_key_of_its_own_and_what_is_shared_has_globals(
        self, store: Store, keyed: Store, raw_get: RawGet
    ) -> None:
        for plan in ("ACME", "OTHER", DEFAULT, "ACME"):
            keyed.ach_configs.put(ach(plan_id=plan, account_number=f"{ACCOUNT}{plan}"))
        found = [
            PLAN_KEY.keys.parse(Key(item["PK"]["S"], item["SK"]["S"]))
            for plan in ("ACME", "OTHER", "GLOBAL")
            for item in store.engine.query(table(store, PLAN_KEY), f"PLANKEY#{plan}", consistent=True).items
        ]
        assert [key["plan_id"] for key in found if key] == ["ACME", "OTHER", "GLOBAL"]

    def test_a_unit_of_work_reads_what_it_wrote_and_encrypts_at_its_commit(
        self, store: Store, keyed: Store, raw_get: RawGet
    ) -> None:
        with keyed.unit_of_work() as unit:
            put = unit.ach_configs.put(ach(), expected=ABSENT)
            assert unit.ach_configs.get("ACME", "Weekly").account_number == ACCOUNT
            unit.ach_configs.put(put.model_copy(update={"account_number": "77"}))
            assert raw_get(table(store, CLIENT_CONFIG), PLACE) is None
        assert keyed.ach_configs.get("ACME", "Weekly").account_number == "77"
        assert "B" in stored(raw_get, store)["account_number"]

    def test_trails_and_lists_tell_the_same_with_a_key(self, store: Store, keyed: Store) -> None:
        store.ach_configs.put(ach())
        keyed.ach_configs.put(ach(account_number="111122223333"))
        keyed.ach_configs.put(ach(account_number="444455556666"))
        details = [entry.details or {} for entry in keyed.audit.entries(trail_of_acme())]
        assert [one["changed"]["account_number"] for one in details[1:]] == [
            {"before": "********5678", "after": "********3333"},
            {"before": "********3333", "after": "********6666"},
        ]
        assert keyed.audit.verify(trail_of_acme()) == ()
        assert [one.plan_id for one in keyed.overrides("ACME") if isinstance(one, AchConfig)] == ["ACME"]
        assert store.plans() == keyed.plans() == ("ACME",)


def trail_of_acme() -> Trail:
    return Trail(table=ACH_CONFIG.table, partition=PLACE.pk)


def stored(raw_get: RawGet, store: Store) -> Item:
    """ACME's bank account as it lies on disk."""
    found = raw_get(table(store, ACH_CONFIG), PLACE)
    assert found is not None
    return found
