"""URLs of file stores."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bluestar_store.errors import ConfigurationError
from bluestar_store.files import open_files
from bluestar_store.files.azure import AzureFileStore
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
        *(
            "s3://bucket/a/../b",
            "s3://bucket/a//b",
            "s3://bucket/x?y",
            "s3://bucket/x#y",
            "az://",
            "az:///x",
            "memory://x",
            "file:///a%00",
        ),
        *("az://container/a/../b", "az://container/x?y", "az://key@container/x"),
    ],
)
def test_any_other_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_FILES_URL"):
        open_files(url)


def test_azure_takes_its_account_from_the_endpoint_the_connection_string_or_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE_CONNECTION_STRING"):
        open_files("az://container")
    given = open_files("az://container/in/a%20b", endpoint_url="https://acme.blob.core.windows.net")
    assert isinstance(given, AzureFileStore)
    assert given.location == "Azure container container at https://acme.blob.core.windows.net, files in/a b/*"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "named")
    assert open_files("az://container").location == "Azure container container at https://named.blob.core.windows.net"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=keyed;AccountKey=c2VjcmV0")
    keyed = open_files("az://container")
    assert keyed.location == "Azure container container at https://keyed.blob.core.windows.net"
    assert "c2VjcmV0" not in f"{keyed!r} {vars(keyed)}"
    other = open_files("az://container", endpoint_url="http://127.0.0.1:9/keyed")
    assert other.location == "Azure container container at http://127.0.0.1:9/keyed"


def test_a_connection_string_that_is_none_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("topsecret", "AccountKey=topsecret", "AccountName=a;BlobEndpoint;AccountKey=topsecret"):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        with pytest.raises(ConfigurationError, match="AZURE_STORAGE_CONNECTION_STRING") as refused:
            open_files("az://container")
        assert "topsecret" not in str(refused.value)


def test_azure_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("azure.", "bluestar_store.files.azure")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "azure", None)
    with pytest.raises(ConfigurationError, match=re.escape("pip install 'bluestar-store[azure]'")):
        open_files("az://container/prefix")


def test_credentials_in_a_url_are_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_files("s3://AKIA:topsecret@bucket/x")
    assert "topsecret" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        open_files("s3://bucket/x", endpoint_url="http://AKIA:topsecret@host")
    assert "topsecret" not in str(refused.value)
