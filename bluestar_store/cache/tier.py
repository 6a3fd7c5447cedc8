"""Which second tier belongs to a store: that of its very tables, which DynamoDB has to be asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from bluestar_store.cache.announcing import Announcer
from bluestar_store.cache.remote import Remote
from bluestar_store.errors import AccessDeniedError, BlueStarError

_log = logging.getLogger(__name__)

AGAIN_SECONDS, DENIED_SECONDS = 0.5, 60.0
"""How long nobody asks again who has just failed, and who may not ask."""


class Tier:
    """Asked by the background thread beside the first read, and by whoever writes before that. Safe for threads.

    `older` announces writes under the names of release 0.1.0 alone, for who cannot find out today's.
    """

    def __init__(self, identify: Callable[[], str], remote: Callable[[str], Remote], older: Announcer | None) -> None:
        self._identify, self._remote, self.older = identify, remote, older
        self.is_denied = False
        self.forked()

    def forked(self) -> None:
        """In a forked child: with a lock of its own."""
        self._lock = threading.Lock()
        self._found: Remote | None = None
        self._failure: tuple[float, BlueStarError] | None = None
        if self.older is not None:
            self.older.reset()

    def find(self) -> Remote:
        """The tier. Raises BlueStarError, for a while without asking again."""
        with self._lock:
            if self._found is not None:
                return self._found
            if self._failure is not None and time.monotonic() < self._failure[0]:
                raise self._failure[1]
            try:
                self._found = self._remote(self._identify())
            except BlueStarError as error:
                denied = isinstance(error, AccessDeniedError)
                if denied and not self.is_denied:
                    _log.warning("no second tier of the cache: %s (dynamodb:DescribeTable is needed)", error)
                self.is_denied = denied
                self._failure = time.monotonic() + (DENIED_SECONDS if denied else AGAIN_SECONDS), error
                raise
            self.is_denied = False
            return self._found
