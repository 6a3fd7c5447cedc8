"""What the suites of documents share: how a mode is plugged in, and how an error is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError

from bluestar_store.documents import DocumentStore

EXISTS_OR_NOT, INVALID = "ConditionalCheckFailedException", "ValidationException"

KEY = "orderId"


class StoreOpener(Protocol):
    """Opens the test's own table, empty at first; opened again, it is the same table."""

    def __call__(self, **options: Any) -> DocumentStore:
        """A store with these options of `get_store`, under the key KEY."""


class DocumentsDoor(Protocol):
    """Items put behind the store's back, as another program does it."""

    def put(self, item: Mapping[str, Any]) -> None:
        """Put a plain item, of texts, whole numbers, lists and dicts, exactly as it is."""


class DocumentsCase:
    """Subclass a suite, give these fixtures, and declare what the target lacks."""

    many_threads = True
    """Many threads may write one item at once."""
    large_updates = True
    """Updates of many fields, and of items near the limit of size, are taken as DynamoDB takes them."""
    checks_whole_updates = True
    """An update is refused for an indexed field that it does not change and that is no text, as by DynamoDB."""

    @pytest.fixture
    def open_store(self) -> StoreOpener:
        """How the table of this test is opened."""
        raise NotImplementedError

    @pytest.fixture
    def door(self, store: DocumentStore) -> DocumentsDoor:
        """The way past the store."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: StoreOpener) -> DocumentStore:
        """The store under test, empty."""
        return open_store()


@contextmanager
def refused(code: str, operation: str, match: str | None = None) -> Iterator[None]:
    """The block raises a ClientError with this code, from this operation, that tells of what matches."""
    with pytest.raises(ClientError, match=match) as raised:
        yield
    error = raised.value
    assert (error.response["Error"]["Code"], error.operation_name) == (code, operation)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def without_times(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The document without its timestamps."""
    if document is None:
        return None
    return {name: value for name, value in document.items() if name not in ("created", "modified")}


def spelled(value: Any) -> Any:
    """The value with its types and the order of its names: 1, True and Decimal(1) are equal."""
    match value:
        case Mapping():
            return [(name, spelled(inner)) for name, inner in value.items()]
        case list() | tuple():
            return [type(value), *map(spelled, value)]
        case set():
            return {(type(member), member) for member in value}
    return type(value), value
