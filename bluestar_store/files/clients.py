"""An SDK's client: created at first use, once in each process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from bluestar_store.errors import AlreadyExistsError, BlueStarError, ConfigurationError, FileMissingError
from bluestar_store.forking import remember


class ProcessClient:
    """Made at the first call, by one thread, and again in a forked child: connections cannot be shared with it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Any = None
        self._process = 0
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: the lock may be held by a thread of its parent's."""
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        """The client."""
        with self._lock:
            if self._client is None or self._process != os.getpid():
                self._client, self._process = self._make(), os.getpid()
            return self._client

    def close(self) -> None:
        """Close its connections; the next call makes a new one. May be called twice."""
        with self._lock:
            if self._client is not None and self._process == os.getpid():
                self._client.close()
            self._client = None


def missing(location: str) -> ConfigurationError:
    """The error for a bucket or container that is not there."""
    return ConfigurationError(f"{location} does not exist: make it, or mend its name (BLUESTAR_FILES_URL)")


def refused(kind: type[BlueStarError], path: str, location: str, reason: str) -> BlueStarError:
    """The error for a call on a file that the service refused."""
    if kind is FileMissingError:
        return FileMissingError(f"{path} is not there ({location})")
    if kind is AlreadyExistsError:
        return AlreadyExistsError(f"{path} is there already, or has changed ({location})")
    return kind(f"{path} ({location}): {reason}")
