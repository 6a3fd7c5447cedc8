"""What botocore and our loader read of the same files; for tests, and for processes with another botocore."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
from botocore.loaders import JSONFileLoader

from bluestar_store.engines.dynamo.client_files import SERVICES, read_client_files_sparingly

FILES = (
    ("service-2", "dynamodb"),
    ("endpoint-rule-set-1", "dynamodb"),
    ("paginators-1", "dynamodb"),
    ("waiters-2", "dynamodb"),
)
ENDS: dict[str, Callable[..., Any]] = {".json": open, ".json.gz": gzip.open}
GENERAL = ("partitions", "sdk-default-configuration", "_retry")


class PlainLoader(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """What the files say, whatever in this process has been done to botocore's loader, or to what it loaded."""

    def load_file(self, file_path: str) -> Any:
        for end, opened in ENDS.items():
            if Path(f"{file_path}{end}").is_file():
                with opened(f"{file_path}{end}", "rb") as file:
                    return json.load(file)
        return None


def sparing() -> botocore.session.Session:
    """A session with our loader."""
    session = botocore.session.get_session()
    read_client_files_sparingly(session)
    return session


def content(session: botocore.session.Session) -> list[Any]:
    """Of the files that DynamoDB's client is made of, less endpoints."""
    loader = session.get_component("data_loader")
    return [loader.load_service_model(service, kind, None) for kind, service in FILES] + [
        loader.load_data(name) for name in GENERAL
    ]


def endpoints(session: botocore.session.Session) -> list[Any]:
    """The partitions with those services we need."""
    partitions = session.get_component("data_loader").load_data("endpoints")["partitions"]
    return [
        partition | {"services": {name: one for name, one in partition["services"].items() if name in SERVICES}}
        for partition in partitions
    ]


def check_reads_alike() -> None:
    """AssertionError when a file says something else by our loader, or if it does not leave services out."""
    theirs, ours = botocore.session.get_session(), sparing()
    theirs.get_component("data_loader").file_loader = PlainLoader()
    assert content(ours) == content(theirs)
    assert endpoints(ours) == endpoints(theirs)
    for partition in ours.get_component("data_loader").load_data("endpoints")["partitions"]:
        assert set(partition["services"]) <= set(SERVICES)
