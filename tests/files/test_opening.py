"""URLs of file stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestar_store.errors import ConfigurationError
from bluestar_store.files import open_files
from bluestar_store.files.local import LocalFileStore
from bluestar_store.files.memory import MemoryFileStore
from bluestar_store.files.s3 import S3FileStore


def test_each_url_opens_its_store() -> None:
    assert isinstance(open_files("memory://"), MemoryFileStore)
    local = open_files("file:///data/pay%20roll/")
    assert isinstance(local, LocalFileStore)
    assert local.folder == Path("/data/pay roll")
    s3 = open_files("s3://bucket/in/a%20b/", endpoint_url="http://127.0.0.1:9")
    assert isinstance(s3, S3FileStore)
    assert (s3.bucket, s3.prefix) == ("bucket", "in/a b/")
    assert s3.location == "S3 bucket bucket at http://127.0.0.1:9, files in/a b/*"
    bare = open_files("s3://bucket")
    assert isinstance(bare, S3FileStore)
    assert bare.prefix == ""


@pytest.mark.parametrize(
    "url",
    [
        *("", "folder", "/folder", "file://folder", "file:folder", "file://", "ftp://x/y", "s3://", "s3:///x"),
        *("s3://bucket/a/../b", "s3://bucket/a//b", "s3://bucket/x?y", "s3://bucket/x#y", "memory://x", "file:///a%00"),
    ],
)
def test_any_other_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_FILES_URL"):
        open_files(url)


def test_azure_is_named_as_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="Azure"):
        open_files("az://container/prefix")


def test_credentials_in_a_url_are_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_files("s3://AKIA:topsecret@bucket/x")
    assert "topsecret" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        open_files("s3://bucket/x", endpoint_url="http://AKIA:topsecret@host")
    assert "topsecret" not in str(refused.value)
