"""What the services do with damage and cuts on the wire, on servers that compare checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import urlsplit

import botocore.endpoint
import pytest
from azure.core.pipeline.transport import HttpTransport

from bluestar_store.errors import AlreadyExistsError, FileStoreError
from bluestar_store.files import FileStore
from bluestar_store.files.azure import AzureFileStore
from bluestar_store.files.remote_streams import PART_BYTES
from bluestar_store.files.s3 import S3FileStore
from bluestar_store.testing.files_suite import FileDoor
from tests.files.doors import new_bucket, new_container
from tests.files.wire import Fate, Wire, wire
from tests.servers import AZURITE_ACCOUNT

SMALL, PARTS = b"content", bytes(range(256)) * (PART_BYTES // 256) + b"\x07"


@dataclass(frozen=True)
class Service:
    """A store whose calls go over a wire that can be damaged, a door past it, and what a wrong checksum is called."""

    files: FileStore
    """Sends each call once."""
    patient: FileStore
    """Sends a call again, as stores do unless told otherwise."""
    door: FileDoor
    wire: Wire
    refusal: str


@contextmanager
def s3(url: str) -> Iterator[Service]:
    with wire(url) as (proxy, through):
        patient, door = new_bucket(url, through=through)
        files = S3FileStore(patient.bucket, "us-east-1", through, max_attempts=1)
        yield Service(files, patient, door, proxy, "BadDigest")
        files.close()
        patient.close()


@contextmanager
def azure(connection_string: str) -> Iterator[Service]:
    endpoint = urlsplit(connection_string.partition("BlobEndpoint=")[2])
    with wire(f"http://{endpoint.netloc}") as (proxy, through):
        through = f"{through}/{AZURITE_ACCOUNT}"
        patient, door = new_container(connection_string, through=through)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string)
            files = AzureFileStore(door.client.container_name, through, max_attempts=1)
        yield Service(files, patient, door, proxy, "contentMD5 doesn't match|InvalidBlockList")
        files.close()
        patient.close()


@pytest.fixture(scope="module")
def ministack_service(ministack: str) -> Iterator[Service]:
    with s3(ministack) as service:
        yield service


@pytest.fixture(scope="module")
def azurite_service(azurite: str) -> Iterator[Service]:
    with azure(azurite) as service:
        yield service


@pytest.fixture(params=["ministack_service", "azurite_service"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Each of them, empty."""
    found: Service = request.getfixturevalue(request.param)
    found.wire.reset()
    found.patient.list_files()  # now it knows that the bucket is there, and need not ask in between
    for path in found.files.list_files():
        found.files.delete(path)
    found.wire.reset()
    yield found
    found.wire.reset()


@pytest.fixture(autouse=True)
def _tries_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs' back-off before the next try is no subject here."""
    monkeypatch.setattr(HttpTransport, "sleep", lambda transport, seconds: None)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))


def only(number: int, fate: Fate) -> Callable[[str, int], Fate]:
    return lambda method, at: fate if at == number else Fate.PASS


def from_then_on(number: int, fate: Fate) -> Callable[[str, int], Fate]:
    """The call, and whatever comes after it never arrives: as when the process was killed, or the network went."""
    return lambda method, at: Fate.PASS if at < number else fate if at == number else Fate.CUT


def calls_of(service: Service, action: Callable[[], object]) -> int:
    service.wire.reset()
    action()
    count = len(service.wire.calls)
    assert count > 0
    service.wire.reset()
    return count


@pytest.mark.parametrize("content", [SMALL, PARTS], ids=["small", "in parts"])
def test_the_server_refuses_whatever_content_arrives_damaged(service: Service, content: bytes) -> None:
    """Each call that carries content, in turn: the single one, each part of several, and Azure's list of them."""
    service.files.write("a", content)
    carrying = [number for number, (method, _) in enumerate(service.wire.calls, 1) if method == "PUT"]
    assert len(carrying) >= (2 if content is PARTS else 1)
    service.door.put("a", b"as it was")
    for number in carrying:
        service.wire.reset()
        service.wire.fate = only(number, Fate.DAMAGE)
        with pytest.raises(FileStoreError, match=service.refusal):
            service.files.write("a", content)
        assert ("PUT", Fate.DAMAGE) in service.wire.calls
        assert service.door.get("a") == b"as it was"


def test_an_answer_that_arrives_damaged_is_not_given(service: Service) -> None:
    service.files.write("a", SMALL * 1000)
    service.wire.fate = lambda method, number: Fate.DAMAGE_ANSWER if method == "GET" else Fate.PASS
    with pytest.raises(FileStoreError):
        service.files.read("a")


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.CUT_ANSWER])
def test_a_move_cut_in_half_at_any_call_leaves_the_file_whole(service: Service, fate: Fate) -> None:
    def make() -> None:
        service.door.put("old/a", SMALL)
        service.files.delete("new/a")

    make()
    for number in range(1, calls_of(service, lambda: service.files.move("old/a", "new/a")) + 1):
        make()
        service.wire.reset()
        service.wire.fate = from_then_on(number, fate)
        with pytest.raises(FileStoreError):
            service.files.move("old/a", "new/a")
        left = [service.door.get("old/a"), service.door.get("new/a")]
        assert SMALL in left
        assert not [found for found in left if found not in (SMALL, None)]
        service.wire.reset()
        if service.door.get("old/a"):
            service.files.move("old/a", "new/a")  # again, as one does
        assert service.files.list_files() == ["new/a"]


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.CUT_ANSWER])
def test_a_write_cut_at_any_call_leaves_what_was_there(service: Service, fate: Fate) -> None:
    service.files.write("a", PARTS)
    for number in range(1, calls_of(service, lambda: service.files.write("a", PARTS)) + 1):
        service.door.put("a", b"as it was")
        service.wire.reset()
        service.wire.fate = from_then_on(number, fate)
        with pytest.raises(FileStoreError):
            service.files.write("a", PARTS)
        assert service.door.get("a") in (b"as it was", PARTS)
        service.wire.reset()
        assert service.files.list_files() == ["a"]


def test_one_lost_answer_is_made_good(service: Service) -> None:
    """The SDK sends the call again; what it then hears of its own work is no failure."""
    actions: list[Callable[[], object]] = [
        lambda: service.patient.write("new", SMALL, if_absent=True),
        lambda: service.patient.write("new", PARTS, if_absent=True),
        lambda: service.patient.move("old", "new"),
        lambda: service.patient.read("old"),
    ]
    for action in actions:
        service.files.write("old", SMALL)
        service.files.delete("new")
        for number in range(1, calls_of(service, action) + 1):
            service.files.write("old", SMALL)
            service.files.delete("new")
            service.wire.reset()
            service.wire.fate = only(number, Fate.CUT_ANSWER)
            action()
            assert Fate.CUT_ANSWER in [fate for _, fate in service.wire.calls]
            service.wire.reset()


def test_another_writers_file_is_not_taken_for_ours(service: Service) -> None:
    service.door.put("a", b"theirs")
    service.wire.fate = only(2, Fate.CUT_ANSWER)
    with pytest.raises(AlreadyExistsError):
        service.patient.write("a", SMALL, if_absent=True)
    assert service.door.get("a") == b"theirs"
