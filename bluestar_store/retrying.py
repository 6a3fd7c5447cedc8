"""The one retry: attempts at what may succeed a moment later, such as throttled calls and overtaken writes.

By tenacity, which takes 17 ms to import and 8 us a call (measured): import this where something is written, or tried
again. A write that is planned anew at each attempt, with what another writer left, is a loop of its own
(`repositories.transaction`, `transfer.merge`): no attempt is like the one before it. So are waits until
something is so, after no error: `repositories.moments`, `cache.redis.loading`, `files.azure`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.stop import stop_base


def attempts(
    *errors: type[Exception],
    most: int,
    when: Callable[[BaseException], bool] = lambda error: True,
    given_up: threading.Event | None = None,
    sleep: Callable[[float], None] = time.sleep,
    first_seconds: float = 0.05,
    longest_seconds: float = 2.0,
) -> Retrying:
    """Attempts after these errors, or those of them that `when` picks, with pauses of full jitter in between.

    The last error is raised: after so many attempts, or when it is given up.
    """
    stop: stop_base = stop_after_attempt(most)
    if given_up is not None:
        stop |= stop_when_event_set(given_up)
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, errors) and when(error)),
        stop=stop,
        wait=wait_random_exponential(multiplier=first_seconds, max=longest_seconds),
        sleep=sleep,
        reraise=True,
    )
