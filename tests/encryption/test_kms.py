"""Plans' keys wrapped by AWS KMS (moto's)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bluestar_store import ConfigurationError, EncryptedValueError, Settings, Store
from bluestar_store.engines.memory.engine import MemoryEngine
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, SSN, all_items
from tests.encryption.test_records import work
from tests.seeded import seeded_engine


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client, and credentials for the library's."""
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield boto3.client("kms", region_name="us-east-1")


def opened(engine: MemoryEngine, *key_ids: str, **fields: Any) -> Store:
    values = {"persistence_mode": "memory", "aws_region": "us-east-1", "encryption_kms_key": ",".join(key_ids)}
    return Store(Settings(**values | fields), engine)


@pytest.fixture
def engine() -> MemoryEngine:
    return seeded_engine()


def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["KeyId"])


def test_values_are_encrypted_by_keys_that_kms_wraps_and_read_by_who_may_use_it(
    kms: Any, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = key(kms)
    kms.create_alias(AliasName="alias/bluestar", TargetKeyId=first)
    store = opened(engine, first, encrypt_records=True)
    work(store)
    assert ACCOUNT not in str(all_items(store))
    reader = opened(engine, "alias/bluestar")
    assert reader.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    assert (reader.audit.entries("b1")[0].details or {})["ssn"] == SSN
    assert "Plaintext" not in caplog.text
    for secret in (ACCOUNT, SSN):
        assert secret not in caplog.text


def test_a_rotated_kms_key_wraps_anew_and_local_keys_move_to_kms(kms: Any, engine: MemoryEngine) -> None:
    first, second = key(kms), key(kms)
    work(Store(Settings(persistence_mode="memory", encryption_key=FIRST), engine))
    both = opened(engine, first, encryption_key=FIRST)
    assert both.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    assert (both.encrypt().keys, both.encrypt().keys) == (2, 0)  # ACME's and GLOBAL's
    assert opened(engine, first).ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    rotated = opened(engine, second, first)
    assert rotated.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    assert (rotated.encrypt().keys, rotated.encrypt().keys) == (2, 0)
    assert opened(engine, second).ach_configs.get("ACME", FREQ).account_number == ACCOUNT


def test_a_key_of_kms_that_is_not_to_be_used_is_one_clear_error_and_all_else_is_read(
    kms: Any, engine: MemoryEngine
) -> None:
    first, other = key(kms), key(kms)
    work(opened(engine, first))
    stranger = opened(engine, other)
    with pytest.raises(EncryptedValueError, match="under a key of AWS KMS that is not to be used here"):
        stranger.ach_configs.get("ACME", FREQ)
    assert stranger.batches.get("b1").plan_id == "ACME"
    with pytest.raises(EncryptedValueError, match="a key of BLUESTAR_ENCRYPTION_KMS_KEY, which is not set"):
        Store(Settings(persistence_mode="memory", encryption_key=FIRST), engine).ach_configs.get("ACME", FREQ)
    with pytest.raises(ConfigurationError, match="BLUESTAR_ENCRYPTION_KMS_KEY"):
        work(opened(engine, "no-such-key"), batch_id="b2", plan="OTHER")
