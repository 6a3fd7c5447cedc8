"""The ways past each file store."""

from __future__ import annotations

import uuid
from itertools import islice
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from botocore.exceptions import ClientError

from bluestar_store.files.azure import AzureFileStore
from bluestar_store.files.memory import MemoryFileStore
from bluestar_store.files.s3 import S3FileStore


class MemoryFileDoor:
    def __init__(self, files: MemoryFileStore) -> None:
        self._files = files

    def put(self, path: str, content: bytes) -> None:
        self._files._put(path, content, "", False)

    def get(self, path: str) -> bytes | None:
        found = self._files._files.get(path)
        return None if found is None else found.content


class FolderDoor:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, path: str, content: bytes) -> None:
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / path).write_bytes(content)

    def get(self, path: str) -> bytes | None:
        found = self._folder / path
        return found.read_bytes() if found.is_file() else None


class BucketDoor:
    """A client of its own on the bucket, and the prefix of the store in it."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.client, self.bucket, self.prefix = client, bucket, prefix

    def put(self, path: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + path, Body=content)

    def get(self, path: str) -> bytes | None:
        try:
            content: bytes = self.client.get_object(Bucket=self.bucket, Key=self.prefix + path)["Body"].read()
        except ClientError:
            return None
        return content

    def empty(self) -> None:
        while found := self.client.list_objects_v2(Bucket=self.bucket).get("Contents"):
            keys = [{"Key": one["Key"]} for one in found]
            self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})


def client(endpoint_url: str | None = None) -> Any:
    return botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=endpoint_url)


def new_bucket(
    endpoint_url: str | None = None, prefix: str = "", *, through: str | None = None
) -> tuple[S3FileStore, BucketDoor]:
    """A store on a bucket of its own, and its door; `through` is the URL by which the store alone gets there."""
    made = client(endpoint_url)
    bucket = f"test-{uuid.uuid4().hex}"
    made.create_bucket(Bucket=bucket)
    files = S3FileStore(bucket, "us-east-1", through or endpoint_url, prefix=prefix, max_attempts=2)
    return files, BucketDoor(made, bucket, files.prefix)


class ContainerDoor:
    """A client of its own on the container, and the prefix of the store in it."""

    def __init__(self, client: ContainerClient, prefix: str) -> None:
        self.client, self.prefix = client, prefix

    def put(self, path: str, content: bytes) -> None:
        self.client.upload_blob(self.prefix + path, content, overwrite=True)

    def get(self, path: str) -> bytes | None:
        try:
            return self.client.download_blob(self.prefix + path).readall()
        except ResourceNotFoundError:
            return None

    def empty(self) -> None:
        while names := list(islice(self.client.list_blob_names(), 256)):  # what one batch may hold
            self.client.delete_blobs(*names)


def new_container(
    connection_string: str, prefix: str = "", *, through: str | None = None
) -> tuple[AzureFileStore, ContainerDoor]:
    """A store on a container of its own, and its door; `through` as in `new_bucket`."""
    made = BlobServiceClient.from_connection_string(connection_string).create_container(f"test-{uuid.uuid4().hex}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string)
        files = AzureFileStore(made.container_name, through, prefix=prefix, max_attempts=2)
    return files, ContainerDoor(made, files.prefix)
