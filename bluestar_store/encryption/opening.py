"""Wraps the engine of a Store in one that encrypts, if the settings ask for it."""

from __future__ import annotations

from bluestar_store.clock import Clock
from bluestar_store.encryption.engine import PlacesSealingEngine, SealingEngine
from bluestar_store.encryption.plan_keys import KEPT_SECONDS, DataKeys
from bluestar_store.encryption.sealing import Sealing
from bluestar_store.encryption.wrapping import LocalKeys, Wrapper, Wrappers
from bluestar_store.models.plan_keys import PLAN_KEY
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import Engine, reads_places
from bluestar_store.settings import Settings, keys_in


def sealing_engine(engine: Engine, tables: Tables, settings: Settings, clock: Clock) -> SealingEngine:
    """The engine with encryption around it, for settings that name a key."""
    wrappers: list[Wrapper] = []
    if settings.encryption_kms_key:
        from bluestar_store.encryption.kms import KmsKeys

        wrappers.append(
            KmsKeys(
                settings.encryption_kms_key,
                region=settings.aws_region,
                connect_seconds=settings.connect_timeout_seconds,
                read_seconds=settings.read_timeout_seconds,
                attempts=settings.max_attempts,
            )
        )
    if settings.encryption_key is not None:
        wrappers.append(LocalKeys(keys_in(settings.encryption_key)))
    keys = DataKeys(
        engine,
        tables.name(PLAN_KEY),
        Wrappers(wrappers),
        clock,
        kept_seconds=min(KEPT_SECONDS, settings.cache_ttl_seconds),
    )
    sealing = Sealing(tables, keys, records=settings.encrypt_records)
    return PlacesSealingEngine(engine, sealing) if reads_places(engine) else SealingEngine(engine, sealing)
