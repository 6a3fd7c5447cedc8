"""The eight tables under a suffix of their own, and side doors into them, on moto and on DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bluestar_store.persistence import create_tables
from tests.engines.conftest import local_connection, shared_moto_tables, shared_tables

__all__ = ["local_connection", "shared_moto_tables", "shared_tables"]


@pytest.fixture
def suffix() -> str:
    """One that no other test uses."""
    return f"-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def moto_ddb() -> Iterator[Any]:
    """A boto3 resource on moto, without tables."""
    with mock_aws():
        yield boto3.resource("dynamodb", region_name="us-east-1")


@pytest.fixture
def moto_tables(moto_ddb: Any, suffix: str) -> Any:
    """The same with the eight tables."""
    create_tables(moto_ddb, suffix)
    return moto_ddb


@pytest.fixture(scope="session")
def local_ddb(dynamodb_local_url: str) -> Any:
    """A boto3 resource on DynamoDB Local."""
    return boto3.resource("dynamodb", region_name="us-east-1", endpoint_url=dynamodb_local_url)


@pytest.fixture
def local_tables(local_ddb: Any, suffix: str) -> Iterator[Any]:
    """The same with the eight tables."""
    names = create_tables(local_ddb, suffix)
    yield local_ddb
    for name in names:
        local_ddb.Table(name).delete()
