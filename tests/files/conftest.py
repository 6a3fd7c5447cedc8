"""S3 servers for the suite."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto import mock_aws

from tests import servers


@pytest.fixture(scope="module")
def moto_s3() -> Iterator[None]:
    """S3 inside this process. Clients must be made inside it."""
    with mock_aws():
        yield


@contextmanager
def _moto(folder: Path) -> Iterator[str]:
    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", servers.HOST, "-p", str(port)]

    def ready(port: int) -> bool:
        return servers.http_answers(f"http://{servers.HOST}:{port}/moto-api/")

    with servers.running("moto-server", command, ready, folder) as port:
        yield f"http://{servers.HOST}:{port}"


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 in a process of its own."""
    if importlib.util.find_spec("flask") is None:
        servers.unavailable("moto server needs Flask: pip install 'moto[server]'")
    with servers.shared("moto-server", tmp_path_factory, _moto) as url:
        yield url


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an Azure Blob emulator in a process of its own."""
    with servers.shared("azurite", tmp_path_factory, servers.azurite) as connection_string:
        yield connection_string


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 that compares checksums."""
    with servers.shared("ministack", tmp_path_factory, servers.ministack) as url:
        yield url
