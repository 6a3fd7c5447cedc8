"""The data layer of BlueStar: typed rules, pipelines, limits and batches on DynamoDB, on files, or in memory.

A name is imported when it is first used, so that the command line answers `--help` without the AWS SDK.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily
from bluestar_store.moved_modules import MovedModules

if TYPE_CHECKING:
    from bluestar_store.aio.store import (
        AsyncStore,
    )
    from bluestar_store.errors import (
        AccessDeniedError,
        AlreadyExistsError,
        BatchNotFoundError,
        BlueStarError,
        CacheError,
        ChangingError,
        ClaimLostError,
        ClaimTakenError,
        ConfigNotFoundError,
        ConfigurationError,
        ConflictError,
        EncryptedValueError,
        EngineError,
        FileMissingError,
        FileStoreError,
        HoldNotFoundError,
        ImportRefusedError,
        IndexMissingError,
        InheritedRuleError,
        InvalidEntityError,
        InvalidKeyError,
        InvalidTransitionError,
        InvalidWriteError,
        ItemDecodeError,
        ItemTooLargeError,
        LimitsNotFoundError,
        NotFoundError,
        PipelineChangingError,
        PipelineNotFoundError,
        PlanKeyNotFoundError,
        PlanOnHoldError,
        PlanOutdatedError,
        PlanRefusedError,
        ResultConflictError,
        RuleNotFoundError,
        RuleSetProblem,
        SchemaNotFoundError,
        SeedError,
        SqlConstraintError,
        SqlError,
        TableMissingError,
        ThrottledError,
        TransactionConflictError,
        UnavailableError,
        UnprocessedItemsError,
        VersionConflictError,
    )
    from bluestar_store.keys import (
        DEFAULT,
        GLOBAL,
    )
    from bluestar_store.mapping.entity import (
        Entity,
        Scope,
    )
    from bluestar_store.models.audit import (
        AuditEntry,
        ChainHead,
        Trail,
    )
    from bluestar_store.models.batches import (
        BatchRules,
        BatchState,
        BatchStatus,
        StepClaim,
        StepResult,
    )
    from bluestar_store.models.calculation import (
        CalculationRule,
    )
    from bluestar_store.models.config import (
        AchConfig,
        ClientConfig,
    )
    from bluestar_store.models.free_form import (
        FreeResult,
        FreeState,
    )
    from bluestar_store.models.holds import (
        HoldGuard,
        PlanHold,
    )
    from bluestar_store.models.limits import (
        IrsLimits,
    )
    from bluestar_store.models.pipeline import (
        PipelineStep,
    )
    from bluestar_store.models.plan_keys import (
        PlanKey,
    )
    from bluestar_store.models.validation import (
        ValidationRule,
    )
    from bluestar_store.models.vendor import (
        VendorSchema,
    )
    from bluestar_store.protocols import (
        ABSENT,
        ANY,
    )
    from bluestar_store.redaction.masking import (
        SensitiveText,
    )
    from bluestar_store.repositories.snapshot import (
        PlanSnapshot,
    )
    from bluestar_store.settings import (
        PersistenceMode,
        Settings,
        TableLayout,
    )
    from bluestar_store.store import (
        Store,
    )
    from bluestar_store.version import (
        __version__,
    )

__all__ = [
    "ABSENT",
    "ANY",
    "DEFAULT",
    "GLOBAL",
    "AccessDeniedError",
    "AchConfig",
    "AlreadyExistsError",
    "AsyncStore",
    "AuditEntry",
    "BatchNotFoundError",
    "BatchRules",
    "BatchState",
    "BatchStatus",
    "BlueStarError",
    "CacheError",
    "CalculationRule",
    "ChainHead",
    "ChangingError",
    "ClaimLostError",
    "ClaimTakenError",
    "ClientConfig",
    "ConfigNotFoundError",
    "ConfigurationError",
    "ConflictError",
    "EncryptedValueError",
    "EngineError",
    "Entity",
    "FileMissingError",
    "FileStoreError",
    "FreeResult",
    "FreeState",
    "HoldGuard",
    "HoldNotFoundError",
    "ImportRefusedError",
    "IndexMissingError",
    "InheritedRuleError",
    "InvalidEntityError",
    "InvalidKeyError",
    "InvalidTransitionError",
    "InvalidWriteError",
    "IrsLimits",
    "ItemDecodeError",
    "ItemTooLargeError",
    "LimitsNotFoundError",
    "NotFoundError",
    "PersistenceMode",
    "PipelineChangingError",
    "PipelineNotFoundError",
    "PipelineStep",
    "PlanHold",
    "PlanKey",
    "PlanKeyNotFoundError",
    "PlanOnHoldError",
    "PlanOutdatedError",
    "PlanRefusedError",
    "PlanSnapshot",
    "ResultConflictError",
    "RuleNotFoundError",
    "RuleSetProblem",
    "SchemaNotFoundError",
    "Scope",
    "SeedError",
    "SensitiveText",
    "Settings",
    "SqlConstraintError",
    "SqlError",
    "StepClaim",
    "StepResult",
    "Store",
    "TableLayout",
    "TableMissingError",
    "ThrottledError",
    "Trail",
    "TransactionConflictError",
    "UnavailableError",
    "UnprocessedItemsError",
    "ValidationRule",
    "VendorSchema",
    "VersionConflictError",
    "__version__",
]

_MODULES = {
    "bluestar_store.aio.store": ("AsyncStore",),
    "bluestar_store.errors": (
        "AccessDeniedError",
        "AlreadyExistsError",
        "BatchNotFoundError",
        "BlueStarError",
        "CacheError",
        "ChangingError",
        "ClaimLostError",
        "ClaimTakenError",
        "ConfigNotFoundError",
        "ConfigurationError",
        "ConflictError",
        "EncryptedValueError",
        "EngineError",
        "FileMissingError",
        "FileStoreError",
        "HoldNotFoundError",
        "ImportRefusedError",
        "IndexMissingError",
        "InheritedRuleError",
        "InvalidEntityError",
        "InvalidKeyError",
        "InvalidTransitionError",
        "InvalidWriteError",
        "ItemDecodeError",
        "ItemTooLargeError",
        "LimitsNotFoundError",
        "NotFoundError",
        "PipelineChangingError",
        "PipelineNotFoundError",
        "PlanKeyNotFoundError",
        "PlanOnHoldError",
        "PlanOutdatedError",
        "PlanRefusedError",
        "ResultConflictError",
        "RuleNotFoundError",
        "RuleSetProblem",
        "SchemaNotFoundError",
        "SeedError",
        "SqlConstraintError",
        "SqlError",
        "TableMissingError",
        "ThrottledError",
        "TransactionConflictError",
        "UnavailableError",
        "UnprocessedItemsError",
        "VersionConflictError",
    ),
    "bluestar_store.keys": (
        "DEFAULT",
        "GLOBAL",
    ),
    "bluestar_store.models.audit": (
        "AuditEntry",
        "ChainHead",
        "Trail",
    ),
    "bluestar_store.models.batches": (
        "BatchRules",
        "BatchState",
        "BatchStatus",
        "StepClaim",
        "StepResult",
    ),
    "bluestar_store.models.calculation": ("CalculationRule",),
    "bluestar_store.models.config": (
        "AchConfig",
        "ClientConfig",
    ),
    "bluestar_store.mapping.entity": (
        "Entity",
        "Scope",
    ),
    "bluestar_store.models.free_form": (
        "FreeResult",
        "FreeState",
    ),
    "bluestar_store.models.holds": (
        "HoldGuard",
        "PlanHold",
    ),
    "bluestar_store.models.limits": ("IrsLimits",),
    "bluestar_store.redaction.masking": ("SensitiveText",),
    "bluestar_store.models.pipeline": ("PipelineStep",),
    "bluestar_store.models.plan_keys": ("PlanKey",),
    "bluestar_store.models.validation": ("ValidationRule",),
    "bluestar_store.models.vendor": ("VendorSchema",),
    "bluestar_store.protocols": (
        "ABSENT",
        "ANY",
    ),
    "bluestar_store.repositories.snapshot": ("PlanSnapshot",),
    "bluestar_store.settings": (
        "PersistenceMode",
        "Settings",
        "TableLayout",
    ),
    "bluestar_store.store": ("Store",),
    "bluestar_store.version": ("__version__",),
}
sys.meta_path.append(MovedModules())  # for one release

__getattr__, __dir__ = lazily(__name__, _MODULES, __all__)
