"""Encrypted bank accounts beside a release that knows nothing of encryption."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.mixed import jobs
from tests.mixed.releases import JobError, Partner

KEY = base64.b64encode(bytes(range(32))).decode()


def test_an_encrypted_account_is_an_error_to_the_old_release_and_all_else_is_read(
    old: Partner, new: Partner, settings: dict[str, Any]
) -> None:
    old.open(settings)
    old.do(jobs.create)
    new.open(settings | {"encryption_key": KEY})
    old.do(jobs.put_account, "PLAIN", "900011112222")
    new.do(jobs.put_account, "ACME", "900012345678")
    new.do(jobs.put_all_sorts, "ACME", "x")
    assert new.do(jobs.account, "ACME") == "900012345678"
    assert new.do(jobs.account, "PLAIN") == old.do(jobs.account, "PLAIN") == "900011112222"
    with pytest.raises(JobError, match="'account_number' is of type B where S is needed") as caught:
        old.do(jobs.account, "ACME")
    assert caught.value.kind == "ItemDecodeError"
    with pytest.raises(JobError, match="'account_number' is of type B where S is needed"):
        old.do(jobs.put_account, "ACME", "900099999999")
    assert old.do(jobs.all_sorts, "ACME") == new.do(jobs.all_sorts, "ACME")
    assert old.do(jobs.plans) == new.do(jobs.plans) == ["ACME", "PLAIN"]
    assert new.do(jobs.account, "ACME") == "900012345678"
