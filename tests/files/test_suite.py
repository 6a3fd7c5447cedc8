"""The files suite on every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestar_store.files import FileStore, azure_calls
from bluestar_store.files.azure import AzureFileStore
from bluestar_store.files.local import LocalFileStore
from bluestar_store.files.memory import MemoryFileStore
from bluestar_store.files.s3 import S3FileStore
from bluestar_store.testing.files_suite import FileDoor, FilesSuite
from tests.files.doors import BucketDoor, ContainerDoor, FolderDoor, MemoryFileDoor, new_bucket, new_container

Bucket = tuple[S3FileStore, BucketDoor] | tuple[AzureFileStore, ContainerDoor]


class TestMemory(FilesSuite):
    @pytest.fixture
    def files(self) -> MemoryFileStore:
        return MemoryFileStore()

    @pytest.fixture
    def door(self, files: MemoryFileStore) -> MemoryFileDoor:
        return MemoryFileDoor(files)


class TestLocal(FilesSuite):
    keeps_content_types = False

    @pytest.fixture
    def files(self, tmp_path: Path) -> LocalFileStore:
        return LocalFileStore(tmp_path / "to be made" / "store")

    @pytest.fixture
    def door(self, files: LocalFileStore) -> FolderDoor:
        return FolderDoor(files.folder)


class RemoteSuite(FilesSuite):
    """One bucket for all tests, emptied before each: an SDK's client takes longer to make than a test."""

    makes_links = True

    @pytest.fixture
    def files(self, bucket: Bucket) -> FileStore:
        bucket[1].empty()
        return bucket[0]

    @pytest.fixture
    def door(self, bucket: Bucket) -> FileDoor:
        return bucket[1]


class TestMoto(RemoteSuite):
    links_lead_here = False
    listed_at_once = 20

    @pytest.fixture(autouse=True)
    def _small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(self.listed_at_once))  # MiniStack lists 1,000 as S3 does

    @pytest.fixture
    def bucket(self, moto_bucket: Bucket) -> Bucket:
        return moto_bucket


class TestMiniStack(RemoteSuite):
    @pytest.fixture
    def bucket(self, ministack_bucket: Bucket) -> Bucket:
        return ministack_bucket


class TestAzurite(RemoteSuite):
    listed_at_once = 20

    @pytest.fixture(autouse=True)
    def _small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(azure_calls, "PAGE_BLOBS", self.listed_at_once)  # Azurite takes 40 s to be given 5,005

    @pytest.fixture
    def bucket(self, azurite_container: Bucket) -> Bucket:
        return azurite_container


@pytest.fixture(scope="module")
def moto_bucket(moto_s3: None) -> Iterator[Bucket]:
    made = new_bucket()
    yield made
    made[0].close()


@pytest.fixture(scope="module")
def ministack_bucket(ministack: str) -> Iterator[Bucket]:
    made = new_bucket(ministack, "a prefix/of two")
    yield made
    made[0].close()


@pytest.fixture(scope="module")
def azurite_container(azurite: str) -> Iterator[Bucket]:
    made = new_container(azurite, "a prefix/of two")
    yield made
    made[0].close()
