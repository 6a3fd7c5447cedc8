"""The ways past each file store."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

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


def new_bucket(endpoint_url: str | None = None, prefix: str = "") -> tuple[S3FileStore, BucketDoor]:
    """A store on a bucket of its own, and its door."""
    made = client(endpoint_url)
    bucket = f"test-{uuid.uuid4().hex}"
    made.create_bucket(Bucket=bucket)
    files = S3FileStore(bucket, "us-east-1", endpoint_url, prefix=prefix)
    return files, BucketDoor(made, bucket, files.prefix)
