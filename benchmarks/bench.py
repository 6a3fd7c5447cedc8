"""What the rows share: how much to measure, and servers that are started when the first row asks for them."""

from __future__ import annotations

import math
import os
import tempfile
import uuid
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bluestar_store import Settings

FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
REDIS_TIMEOUT_MS = 2000  # a busy machine must not open the breaker: then something else would be measured
QUICK = 60


def clean_environment() -> None:
    """No settings of the developer's, no way to a real AWS account; for this process and those it starts.

    They keep byte code, as an installed package has it.
    """
    for name in list(os.environ):
        if name.startswith(("BLUESTAR_", "AWS_", "PYTHONDONTWRITEBYTECODE")):
            del os.environ[name]
    os.environ.update(FAKE_AWS, NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")


class Bench:
    """A context manager: the servers end with it. Of what a full run does, one part in `divisor` is done."""

    def __init__(self, folder: Path, *, divisor: int = 1) -> None:
        self._folder, self._divisor = folder, divisor
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rounds(self, full: int, *, least: int = 3) -> int:
        """How many rounds to measure, of so many for a full run."""
        return max(full // self._divisor, least)

    @cached_property
    def redis_url(self) -> str:
        """A Redis of our own on a free port. Values live as long in it as in one that has run for an hour."""
        # Not at the top: started processes import this module, too.
        from bluestar_store.cache.redis.publisher import InvalidationPublisher
        from tests import redis_servers

        self._stack.enter_context(patch.object(InvalidationPublisher, "retained_seconds", lambda _: math.inf))
        return self._stack.enter_context(redis_servers.redis_process(self.folder("redis"))).url

    @cached_property
    def dynamodb_url(self) -> str:
        """AWS's DynamoDB Local on a free port."""
        from tests import servers  # see above

        return self._stack.enter_context(servers.dynamodb_local(self.folder("dynamodb-local")))

    def memory(self, **options: Any) -> Settings:
        """A Store in this process's memory."""
        return Settings(persistence_mode="memory", redis_timeout_ms=REDIS_TIMEOUT_MS, **options)

    def dynamo(self, **options: Any) -> Settings:
        """A Store in DynamoDB Local, with tables of its own unless `table_suffix` names others'."""
        own = {"table_suffix": f"-{uuid.uuid4().hex[:8]}", "redis_timeout_ms": REDIS_TIMEOUT_MS}
        return Settings(
            persistence_mode="dynamo",
            dynamodb_endpoint_url=self.dynamodb_url,
            aws_region="us-east-1",
            **(own | options),
        )

    def folder(self, name: str) -> Path:
        """A new folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
