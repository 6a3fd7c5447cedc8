"""Streams from and to Azure Blob."""

from __future__ import annotations

import hashlib
from typing import Any

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, ContentSettings

from bluestar_store.errors import BlueStarError, FileMissingError
from bluestar_store.files.azure_calls import FAILURES, AzureCalls, is_folder
from bluestar_store.files.remote_streams import RemoteReader, RemoteWriter

TOKEN = "bluestar_write"  # noqa: S105 the name of a mark, no secret


class AzureReader(RemoteReader):
    """By ranges of 4 MiB, each compared with the checksum that Azure sends along."""

    def __init__(self, calls: AzureCalls, path: str, key: str) -> None:
        self._calls, self._key = calls, key
        super().__init__(path, calls.location, FAILURES)

    def _first(self) -> tuple[Any, int, str]:
        found = self._calls("download_blob", self._path, self._key, validate_content=True)
        if is_folder(found.properties.metadata):
            raise FileMissingError(f"{self._path} is a folder ({self._location})")
        return found, int(found.properties.size), str(found.properties.etag)

    def _rest(self, at: int) -> Any:
        unchanged = {"etag": self._etag, "match_condition": MatchConditions.IfNotModified}
        return self._calls("download_blob", self._path, self._key, offset=at, validate_content=True, **unchanged)

    def _translated(self, error: Exception) -> BlueStarError:
        return self._calls.translated(error, self._path)

    def _close_body(self) -> None:
        """Nothing to do: each range was read to its end."""


class AzureWriter(RemoteWriter):
    """Put Blob, or blocks and their list. Azure verifies the MD5 of each call's content, and keeps that of the whole.

    Blocks that no list names are never listed, and forgotten after a week. A list, or a Put Blob, drops the blocks of
    all other writers of the file: then theirs fails, whole.
    """

    def __init__(self, calls: AzureCalls, path: str, key: str, content_type: str, if_absent: bool, token: str) -> None:
        super().__init__()
        self._calls, self._path, self._key, self._token = calls, path, key, token
        self._content_type, self._if_absent = content_type, if_absent
        self._sum = hashlib.md5(usedforsecurity=False)
        self._sent: list[BlobBlock] = []

    def _send(self, content: bytes) -> None:
        block = f"{self._token}-{self._parts:05d}"  # all of one length, which Azure asks for
        self._sum.update(content)
        self._calls("stage_block", self._path, self._key, block_id=block, data=content, validate_content=True)
        self._sent.append(BlobBlock(block))

    def _finish(self) -> None:
        arguments = self._about()
        if self._if_absent:
            arguments["match_condition"] = MatchConditions.IfMissing
        blocks = {"block_list": self._sent, "validate_content": True}
        self._calls("commit_block_list", self._path, self._key, **blocks, **arguments)

    def _put(self, content: bytes) -> None:
        self._sum.update(content)
        arguments: dict[str, Any] = {"overwrite": not self._if_absent, "validate_content": True, **self._about()}
        self._calls("upload_blob", self._path, self._key, data=content, **arguments)

    def _about(self) -> dict[str, Any]:
        settings = ContentSettings(content_type=self._content_type, content_md5=bytearray(self._sum.digest()))
        return {"content_settings": settings, "metadata": {TOKEN: self._token}}

    def _is_ours(self) -> bool:
        found = self._calls("get_blob_properties", self._path, self._key)
        return bool((found.metadata or {}).get(TOKEN) == self._token)
