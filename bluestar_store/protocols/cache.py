"""The seam of caches: what lies between repositories and the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias

from bluestar_store.errors import BlueStarError
from bluestar_store.protocols.engine import BeforeAttempt

CacheKey: TypeAlias = tuple[str | int | None, ...]
"""What a cache keeps as one: an item, `("calculation-rule", "ACME", "match")`, or all items of a kind in a partition,
`("pipeline-step*", "ACME", "Weekly")`. The kind's name, and the fields of the identity."""


class Missing(Enum):
    """The type of MISSING: what a cache has nothing for, not even an absence."""

    MISSING = 0


MISSING: Final = Missing.MISSING
"""What a cache answers for what it does not hold."""


@dataclass(frozen=True)
class FailedRead:
    """Stands for a value that cannot be read; whoever needs the value raises `error`."""

    error: BlueStarError


@dataclass(frozen=True)
class Stale:
    """A value that was kept past its time, because the engine failed with `error`."""

    value: Any
    error: BlueStarError


class Source(Protocol):
    """What a cache loads one kind of cache keys from. A FailedRead is passed on and never stored."""

    @property
    def sensitive(self) -> bool:
        """Whether the values neither leave the process nor are taken from outside it."""

    def settles(self, value: Any) -> bool:
        """Whether this value of one key makes those of the keys after it unnecessary."""

    def load(self, cache_keys: Sequence[CacheKey], /) -> Mapping[CacheKey, Any]:
        """The value of every key, read consistently; an absence has a value that is false.

        Keys after one whose value settles the question may be left out.
        """

    def encode(self, cache_key: CacheKey, value: Any, /) -> bytes | None:
        """The value as it is stored outside the process; None for one that is not to leave it."""

    def decode(self, cache_key: CacheKey, data: bytes, /) -> Any:
        """The value again; ValueError or BlueStarError for what `encode` of this version did not make for this key."""

    def weigh(self, value: Any) -> int:
        """About how many bytes the value takes in the process."""


class Cache(Protocol):
    """What lies between repositories and the engine."""

    def peek(self, cache_key: CacheKey, /) -> Any:
        """The value if it is here, in the process, and not due; else MISSING. None is a value: an absence."""

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, /, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """The value of every key, or a Stale one; what is missing (when `fresh`: all) is loaded from the source.

        The values were current at one moment. Keys after one whose value settles the question may be left out.
        """

    def writing(self, cache_keys: Iterable[CacheKey], /) -> AbstractContextManager[BeforeAttempt | None]:
        """Around a write that changes these keys, whether the write succeeds or its outcome is unknown.

        Gives what is to be called before each attempt at the write; None where that is nothing.
        """

    def close(self) -> None:
        """End what runs in the background; may be called twice."""


class DerivedValues(Protocol):
    """Keeps, for an identity, the value that was derived from another's: GLOBAL's rule as a plan inherits it."""

    def get(self, own: CacheKey, /) -> tuple[Any, Any, Any] | None:
        """The value it was derived from, anything, and the derived value; None when nothing is kept."""

    def derive(self, own: CacheKey, value: Any, /) -> Any:
        """Derive it from the value, keep it, and return it."""


class ConsistentCache(Cache, Protocol):
    """A cache that answers for several keys at one moment without a load, and knows of recent writes.

    For speed alone: `cache.control.consistent` gives any Cache these methods.
    """

    def peek_first(self, kind: CacheKey, own: CacheKey, other: CacheKey, derived: DerivedValues, /) -> Any:
        """The value of the key `kind + own`; if that is an absence, the value derived from that of `kind + other`.

        None when both are absences; MISSING when one that is needed is not here. The two were current at one moment.
        """

    def peek_all(self, cache_keys: Sequence[CacheKey], settles: Callable[[Any], bool], /) -> list[Any] | None:
        """The values of the keys, up to the first that `settles`, if `peek` has them all; else None.

        They were current at one moment.
        """

    def changed_lately(self, cache_key: CacheKey, /) -> bool:
        """Whether a write of the key, made or heard of here, was over less than SETTLING_SECONDS ago."""
