"""The data keys of plans: items of agent-config, created at first use and cached in the process for a short time."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluestar_store.clock import Clock
from bluestar_store.encryption.values import KeyName, UnreadableError
from bluestar_store.encryption.wrapping import Wrappers
from bluestar_store.errors import ConfigurationError, EncryptedValueError, InvalidKeyError
from bluestar_store.forking import remember
from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.models.plan_keys import PLAN_KEY, PlanKey
from bluestar_store.protocols import ABSENT, VERSION, AsRead, AttributeValue, Engine, Item, Put, Update, pages

KEY_BYTES = 32
PLANS_KEPT = 10_000
"""Plans whose keys a process remembers."""
KEPT_SECONDS = 30.0
"""How long it uses them before it asks for them again: a key that another process dropped is used for so long more."""


@dataclass(frozen=True)
class DataKey:
    """A plan's key as it is stored, and as it is used; None, and why, for one that cannot be."""

    name: KeyName
    stored: PlanKey
    raw: bytes | None
    reason: str

    @property
    def cipher(self) -> AESGCM:
        """What encrypts and decrypts. Raises UnreadableError."""
        return AESGCM(self._raw_key())

    def derived(self, purpose: bytes) -> bytes:
        """A key for something else than encryption. Raises UnreadableError."""
        return hmac.digest(self._raw_key(), b"bluestar-store " + purpose, "sha256")

    def _raw_key(self) -> bytes:
        if self.raw is None:
            raise UnreadableError(self.reason, is_lost=self.stored.wrapped is None)
        return self.raw

    def __repr__(self) -> str:
        return f"DataKey({self.name.plan_id!r}, {self.name.key_id!r})"


class DataKeys:
    """Reads, unwraps and makes them. Safe for threads and for fork.

    They are read past every unit of work, and made outside of it: a key that is never used harms nobody.
    """

    def __init__(
        self, engine: Engine, table: str, wrappers: Wrappers, clock: Clock, *, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        """`table` is agent-config's name on disk. A key that another process drops is used for `kept_seconds` more."""
        self._engine, self._table, self._wrappers, self._clock = engine, table, wrappers, clock
        self._kept_seconds = kept_seconds
        self._kept: dict[str, tuple[float, Mapping[str, DataKey]]] = {}
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()

    def current(self, plan_id: str) -> DataKey:
        """The key that this plan's data is encrypted with now: the newest that was not dropped, else a new one.

        Raises ConfigurationError when that is a key which this process cannot unwrap, and EngineError.
        """
        key = self._newest(plan_id)
        if key is None:
            with self._lock:  # another thread may have made one meanwhile
                key = self._newest(plan_id) or self._made(plan_id)
        if key.raw is None:
            raise ConfigurationError(f"data of plan {plan_id!r} cannot be encrypted: what is there {key.reason}")
        return key

    def _newest(self, plan_id: str) -> DataKey | None:
        usable = (key for key in self._of(plan_id).values() if key.stored.dropped is None)
        return max(usable, key=lambda key: key.name.key_id, default=None)

    def named(self, name: KeyName) -> DataKey:
        """The key of this name. Raises UnreadableError where there is none, and EngineError."""
        key = self._of(name.plan_id).get(name.key_id) or self._of(name.plan_id, again=True).get(name.key_id)
        if key is None:
            raise UnreadableError(
                f"is encrypted with the key {name.key_id} of plan {name.plan_id!r}, which is not in {self._table}: "
                "import it with the data that it encrypts"
            )
        return key

    def rewrapped(self, key: PlanKey, *, dry_run: bool = False) -> bool:
        """Wrap a plan's key as a new one would be, if it is not so already; whether there was anything to do.

        The key itself stays: nothing that it encrypted has to be encrypted anew. Raises ItemDecodeError for one that
        cannot be unwrapped, ConflictError when somebody else changed it meanwhile, and EngineError.
        """
        place, at = place_of(key), PLAN_KEY.key(key)
        if key.wrapped is None or self._wrappers.is_current(key.wrapped, place):
            return False
        try:
            raw = self._wrappers.unwrap(key.wrapped, place)
        except UnreadableError as error:
            raise EncryptedValueError(self._table, str(error), pk=at.pk, sk=at.sk, attribute="wrapped") from None
        if not dry_run:
            version = key.version or 0
            sets: dict[str, AttributeValue] = {
                "wrapped": {"B": self._wrappers.wrap(raw, place)},
                VERSION: {"N": str(version + 1)},
            }
            expect = AsRead(version, {"wrapped": {"B": key.wrapped}})
            self._engine.write(Update(self._table, at, sets, expect=expect))
            self.forget(key.plan_id)
        return True

    def forget(self, plan_id: str) -> None:
        """Look again before the plan's keys are used again."""
        self._kept.pop(plan_id, None)

    def _of(self, plan_id: str, *, again: bool = False) -> Mapping[str, DataKey]:
        now = self._clock.monotonic()
        before = self._kept.get(plan_id, (0.0, {}))
        if before[1] and not again and now < before[0]:
            return before[1]
        try:
            pk = PLAN_KEY.keys.partition({"plan_id": plan_id})
        except InvalidKeyError:
            raise UnreadableError("is a ciphertext that was damaged: it names no plan") from None
        found = {}
        for items in pages(lambda cursor: self._engine.query(self._table, pk, cursor=cursor, consistent=True)):
            for key in map(self._read, filter(PLAN_KEY.owns, items)):
                old = before[1].get(key.key_id)
                found[key.key_id] = (
                    old if old is not None and old.stored.wrapped == key.wrapped else self._unwrapped(key)
                )
        self._keep(plan_id, found, now)
        return found

    def _keep(self, plan_id: str, keys: Mapping[str, DataKey], read: float) -> None:
        if len(self._kept) >= PLANS_KEPT:
            self._kept = {}
        self._kept[plan_id] = read + self._kept_seconds, keys

    def _read(self, item: Item) -> PlanKey:
        return PLAN_KEY.decode(item, self._table)

    def _unwrapped(self, key: PlanKey) -> DataKey:
        name = KeyName(key.plan_id, key.key_id)
        if key.wrapped is None:
            when = f" on {key.dropped:%Y-%m-%d}" if key.dropped else ""
            reason = f"is encrypted with a key of plan {key.plan_id!r} that was dropped{when}: nobody can read it again"
            return DataKey(name, key, None, reason)
        try:
            return DataKey(name, key, self._wrappers.unwrap(key.wrapped, place_of(key)), "")
        except UnreadableError as error:
            return DataKey(name, key, None, str(error))

    def _made(self, plan_id: str) -> DataKey:
        from ulid import ULID

        raw = AESGCM.generate_key(KEY_BYTES * 8)
        key = PlanKey(plan_id=plan_id, key_id=str(ULID()), created=self._clock.now())
        key = key.model_copy(update={"wrapped": self._wrappers.wrap(raw, place_of(key))})
        place = PLAN_KEY.key(key)
        item: dict[str, Any] = {"PK": {"S": place.pk}, "SK": {"S": place.sk}, **PLAN_KEY.encode(key)}
        before = self._clock.monotonic()
        self._engine.write(Put(self._table, item | {VERSION: {"N": "1"}}, ABSENT))
        made = DataKey(KeyName(plan_id, key.key_id), key, raw, "")
        self._keep(plan_id, {**self._kept.get(plan_id, (0.0, {}))[1], key.key_id: made}, before)
        return made


def place_of(key: PlanKey) -> tuple[str, ...]:
    """What the wrapped key is bound to."""
    at: Key = PLAN_KEY.key(key)
    return PLAN_KEY.table, at.pk, at.sk, "wrapped"


def key_owner(plan_id: str | None) -> str:
    """Whose key encrypts what belongs to this plan; GLOBAL's for what belongs to none, or to every one."""
    return GLOBAL if plan_id in (None, DEFAULT) else str(plan_id)
