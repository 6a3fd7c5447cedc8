"""What only Azure Blob has: blocks, folder marks, pages, signed links, and the errors of its client."""

from __future__ import annotations

import hashlib
import logging
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from bluestar_store.errors import BlueStarError, ConfigurationError, FileMissingError, FileStoreError
from bluestar_store.files import azure as azure_module
from bluestar_store.files import azure_calls, open_files
from bluestar_store.files.azure import AzureFileStore
from bluestar_store.files.azure_calls import CODES
from bluestar_store.files.remote_streams import PART_BYTES
from tests import servers
from tests.files.doors import ContainerDoor, new_container
from tests.redis_tls import make_certificates
from tests.servers import AZURITE_KEY

LARGE = bytes(range(256)) * (PART_BYTES // 256) + b"more"


@pytest.fixture(scope="module")
def container(azurite: str) -> Iterator[tuple[AzureFileStore, ContainerDoor]]:
    made = new_container(azurite)
    yield made
    made[0].close()


@pytest.fixture
def files(container: tuple[AzureFileStore, ContainerDoor]) -> AzureFileStore:
    container[1].empty()
    return container[0]


@pytest.fixture
def door(container: tuple[AzureFileStore, ContainerDoor]) -> ContainerDoor:
    return container[1]


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "in blocks"])
def test_the_checksum_of_the_whole_file_is_kept_with_it(
    files: AzureFileStore, door: ContainerDoor, content: bytes
) -> None:
    files.write("a", content, "text/csv")
    files.move("a", "b")
    kept = door.client.get_blob_client("b").get_blob_properties().content_settings
    assert bytes(kept.content_md5 or b"") == hashlib.md5(content, usedforsecurity=False).digest()
    assert kept.content_type == "text/csv"
    assert files.read("b") == content


def test_a_list_goes_on_from_page_to_page(files: AzureFileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_calls, "PAGE_BLOBS", 7)
    paths = [f"{number:03d}" for number in range(50)]
    for path in paths:
        files.write(path, b"")
    assert files.list_files() == paths


def test_folders_of_a_hierarchical_namespace_are_no_files(files: AzureFileStore, door: ContainerDoor) -> None:
    door.client.upload_blob("in", b"", metadata={"hdi_isfolder": "true"})
    files.write("in/a", b"x")
    assert files.list_files() == ["in/a"]
    assert not files.exists("in")
    for call in (files.read, files.stat, files.open, files.link):
        with pytest.raises(FileMissingError):
            call("in")


def test_blocks_of_a_write_that_was_dropped_are_no_file(files: AzureFileStore) -> None:
    file = files.open("a", "wb")
    file.write(LARGE)
    file.discard()
    assert files.list_files() == []
    assert not files.exists("a")
    files.write("a", LARGE, if_absent=True)
    assert files.read("a") == LARGE


def test_of_large_writes_of_one_file_at_once_the_file_is_one_of_them_whole(files: AzureFileStore) -> None:
    """Whoever is the first to end drops the blocks of the others, who hear of it."""
    contents = [bytes([number]) * (PART_BYTES + 5) for number in range(3)]

    def write(content: bytes) -> bytes | None:
        try:
            files.write("a", content)
        except FileStoreError:
            return None
        return content

    with ThreadPoolExecutor(3) as pool:
        written = [content for content in pool.map(write, contents) if content is not None]
    assert written
    assert files.read("a") in written


def test_a_file_that_changed_while_it_was_read_is_an_error(files: AzureFileStore) -> None:
    files.write("a", LARGE)
    with files.open("a") as file:
        file.read(10)
        files.write("a", bytes(len(LARGE)))
        file.seek(6 * 1024 * 1024)
        with pytest.raises(FileStoreError, match="changed while it was read"):
            file.read(1)


def test_a_copy_that_azure_does_later_is_waited_for(files: AzureFileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("a", b"content")
    monkeypatch.setattr(azure_module, "COPY_POLL_SECONDS", 0.001)
    seen = answered_with(files, monkeypatch, iter(["pending", "pending", "success"]))
    files.move("a", "b")
    assert seen == ["pending", "pending", "success"]
    assert files.list_files() == ["b"]


def test_a_copy_that_azure_gave_up_keeps_the_source(files: AzureFileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("a", b"content")
    answered_with(files, monkeypatch, iter(["failed"]))
    with pytest.raises(FileStoreError, match="is left as it was"):
        files.move("a", "b")
    assert files.read("a") == b"content"


def test_a_copy_that_is_not_whole_keeps_the_source(files: AzureFileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("a", b"content")
    done = files._copy_done

    def damaged(dst: str) -> Any:
        found = done(dst)
        found.content_settings.content_md5 = bytearray(16)
        return found

    monkeypatch.setattr(files, "_copy_done", damaged)
    with pytest.raises(FileStoreError, match="is not as"):
        files.move("a", "b")
    assert files.read("a") == b"content"


def answered_with(files: AzureFileStore, monkeypatch: pytest.MonkeyPatch, states: Iterator[str]) -> list[str]:
    """Have Azure say so of a copy, for Azurite does each at once; returns what it said."""
    seen: list[str] = []
    found = files._found

    def of_a_copy(path: str) -> Any:
        properties = found(path)
        if path == "b":
            properties.copy.status = next(states)
            seen.append(properties.copy.status)
        return properties

    monkeypatch.setattr(files, "_found", of_a_copy)
    return seen


def test_a_missing_container_is_a_configuration_error_whatever_is_called(
    azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite)
    files = open_files("az://no-such-container")
    for call in (files.read, files.stat, files.exists, files.list_files, files.link, files.delete):
        with pytest.raises(ConfigurationError, match=r"no-such-container .*does not exist.*BLUESTAR_FILES_URL"):
            call("a")
    for content in (b"x", LARGE):
        with pytest.raises(ConfigurationError, match="does not exist"):
            files.write("a", content)
    with pytest.raises(ConfigurationError, match="does not exist"):
        files.move("a", "b")
    files.close()


def test_a_wrong_key_is_a_configuration_error_and_no_secret_is_shown(
    azurite: str, files: AzureFileStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    files.write("a", LARGE)
    files.move("a", "b")
    files.read("b")
    wrong = "d3Jvbmcga2V5"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.replace(AZURITE_KEY, wrong))
    refused = AzureFileStore("container", max_attempts=1)
    with pytest.raises(ConfigurationError) as caught:
        refused.read("a")
    shown = f"{caught.value!s} {refused!r} {vars(refused)} {caplog.text}"
    assert caplog.records
    assert wrong not in shown
    assert AZURITE_KEY not in shown
    assert "\n" not in str(caught.value)


def test_an_account_that_is_not_there_is_a_file_store_error() -> None:
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        patch.setenv(
            "AZURE_STORAGE_CONNECTION_STRING", "AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a"
        )
        files = AzureFileStore("container", max_attempts=1)
    with pytest.raises(FileStoreError, match="cannot be reached") as failed:
        files.read("a")
    assert not isinstance(failed.value, FileMissingError)


def test_an_identity_that_is_not_found_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def get_token(self, *scopes: str, **options: Any) -> Any:
            raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token from ...\n...")

    monkeypatch.setattr(azure_calls, "DefaultAzureCredential", Nobody)
    files = AzureFileStore("container", "https://127.0.0.1:1", max_attempts=1)
    with pytest.raises(ConfigurationError, match="no Azure credentials found") as refused:
        files.read("a")
    assert "\n" not in str(refused.value)


def test_an_identitys_token_is_not_sent_without_tls() -> None:
    with pytest.raises(ConfigurationError, match="https"):
        AzureFileStore("container", "http://127.0.0.1:1")


def test_a_shared_access_signature_reads_and_writes_but_signs_no_links(
    azurite: str, files: AzureFileStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    container = files._calls.container
    may = ContainerSasPermissions(read=True, write=True, list=True, delete=True)
    until = datetime.now(UTC) + timedelta(minutes=5)
    signature = generate_container_sas("devstoreaccount1", container, AZURITE_KEY, permission=may, expiry=until)
    endpoint = azurite.partition("BlobEndpoint=")[2]
    text = f"BlobEndpoint={endpoint};SharedAccessSignature={signature}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    signed = AzureFileStore(container)
    signed.write("a", LARGE)
    signed.move("a", "b")
    assert signed.read("b") == LARGE
    assert signed.list_files() == ["b"]
    with pytest.raises(FileStoreError, match="cannot sign") as refused:
        signed.link("b")
    with pytest.raises(FileMissingError) as missing:
        signed.read("nowhere")
    shown = f"{refused.value} {missing.value} {signed!r} {signed.location} {caplog.text}"
    secret = signature.partition("sig=")[2].partition("&")[0]
    assert "urllib3" in caplog.text
    assert secret not in shown
    assert unquote(secret) not in shown


def test_a_traceback_shows_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "BlobEndpoint=http://127.0.0.1:1/a;SharedAccessSignature=sv=2025-01-01&sig=topsecret"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    files = AzureFileStore("container", max_attempts=1)
    for call in (files.read, files.stat, files.list_files, files.delete):
        with pytest.raises(FileStoreError) as failed:
            call("a")
        assert "topsecret" not in "".join(traceback.format_exception(failed.value))


class Identity:
    """One whose tokens Azurite believes: it looks at what they say, not at who signed them."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        until = int(time.time()) + 600
        says = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/x/",
            "iat": 0,
            "nbf": 0,
            "exp": until,
        }
        token = jwt.encode({**says, "oid": "someone", "tid": "x"}, "k" * 32, algorithm="HS256")
        return AccessToken(token, until)


def test_an_identity_reads_writes_moves_and_signs_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    authority, *certificate = make_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    monkeypatch.setattr(azure_calls, "DefaultAzureCredential", Identity)
    with servers.azurite(tmp_path, tls=(certificate[0], certificate[1])) as connection_string:
        keyed, door = new_container(connection_string)
        endpoint = connection_string.partition("BlobEndpoint=")[2]
        files = AzureFileStore(door.client.container_name, endpoint, max_attempts=1)
        files.write("a", LARGE)
        files.move("a", "b c")
        assert files.list_files() == keyed.list_files() == ["b c"]
        link = files.link("b c", 60)
        # Azurite 3.35 does not know the newest form of what is signed, so it is not followed.
        signed = parse_qs(urlsplit(link).query)
        assert (signed["skoid"], signed["sp"], signed["sr"]) == (["someone"], ["r"], ["b"])
        assert signed["sig"]
        files.close()
        keyed.close()
    assert Identity().get_token().token.split(".")[0] not in caplog.text


def test_every_code_of_the_table_becomes_its_error(files: AzureFileStore) -> None:
    for code, kind in {**CODES, "SomethingNew": FileStoreError}.items():
        response: Any = SimpleNamespace(status_code=400, reason="m", headers={})
        error = HttpResponseError("first line\nsigned text", response=response)
        error.error_code = code  # type: ignore[attr-defined]  # as the SDK puts it there
        found = files._calls.translated(error, "a")
        assert type(found) is kind
        assert isinstance(found, BlueStarError)
        assert "signed text" not in str(found)
