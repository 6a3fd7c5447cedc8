"""Tells whether the settings ask for encryption; loads the package that it needs only if they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluestar_store.errors import ConfigurationError

if TYPE_CHECKING:
    from bluestar_store.clock import Clock
    from bluestar_store.encryption.engine import SealingEngine
    from bluestar_store.models.tables import Tables
    from bluestar_store.protocols import Engine
    from bluestar_store.settings import Settings


def encrypting_engine(engine: Engine, tables: Tables, settings: Settings, clock: Clock) -> SealingEngine | None:
    """The engine with encryption around it; None where the settings name no key. Raises ConfigurationError."""
    if settings.encryption_key is None and not settings.encryption_kms_key:
        if settings.encrypt_records:
            raise ConfigurationError(
                "BLUESTAR_ENCRYPT_RECORDS needs a key: set BLUESTAR_ENCRYPTION_KEY or BLUESTAR_ENCRYPTION_KMS_KEY"
            )
        return None
    try:
        from bluestar_store.encryption.opening import sealing_engine
    except ImportError as error:
        raise ConfigurationError(
            f"encryption needs a package that is not there ({error.name}): pip install 'bluestar-store[encryption]'"
        ) from None
    return sealing_engine(engine, tables, settings, clock)
