"""Modules that lay elsewhere in release 0.1.0: importing one by its old name gives the module, and warns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader

PACKAGE = "bluestar_store."
MOVED = {
    "cache.family": "cache.tiered",
    "cache.flights": "cache.in_flight",
    "cache.keeper": "cache.redis.listener",
    "cache.keys": "cache.redis.messages",
    "cache.link": "cache.redis.connection",
    "cache.loading": "cache.read_through",
    "cache.matching": "cache.tiered",
    "cache.null": "cache.control",
    "cache.opening": "cache.control",
    "cache.pending": "cache.redis.messages",
    "cache.refreshing": "cache.read_through",
    "cache.remote": "cache.redis.tier",
    "cache.scripts": "cache.redis.stored",
    "cache.stats": "cache.limits",
    "cache.stored": "cache.redis.stored",
    "cache.topology": "cache.redis.client",
    "cache.wire": "cache.redis.connection",
    "debug_logs": "redaction.logs",
    "engines.attempts": "retrying",
    "engines.aws": "engines.dynamo.connection",
    "engines.binding": "engines.dynamo.binding",
    "engines.bulk": "engines.dynamo.bulk",
    "engines.client_files": "engines.dynamo.client_files",
    "engines.direct": "engines.dynamo.direct",
    "engines.dynamo_tables": "engines.dynamo.tables",
    "engines.exchange": "engines.dynamo.exchange",
    "engines.expressions": "engines.dynamo.expressions",
    "engines.folding": "engines.memory.folding",
    "engines.images": "engines.memory.tables",
    "engines.journal": "engines.file.journal",
    "engines.journal_mark": "engines.file.journal_mark",
    "engines.once": "engines.dynamo.transactions",
    "engines.outcome": "engines.dynamo.outcome",
    "engines.shared_folders": "engines.file.shared_folders",
    "engines.signing": "engines.dynamo.signing",
    "engines.staged": "engines.memory.staged",
    "engines.table_files": "engines.file.table_files",
    "engines.tables": "engines.memory.tables",
    "engines.tries": "engines.dynamo.events",
    "engines.whole_files": "whole_files",
    "models.attributes": "mapping.attributes",
    "models.audit_model": "models.audit",
    "models.bare": "mapping.salvage",
    "models.batches_model": "models.batches",
    "models.calculation_model": "models.calculation",
    "models.canonical": "mapping.canonical",
    "models.config_model": "models.config",
    "models.entity": "mapping.entity",
    "models.extension": "models.registry",
    "models.field_checks": "checks.fields",
    "models.formulas": "checks.formulas",
    "models.free_form_model": "models.free_form",
    "models.holds_model": "models.holds",
    "models.immutability": "mapping.immutability",
    "models.indexes": "mapping.indexes",
    "models.kind": "mapping.mapper",
    "models.limits_model": "models.limits",
    "models.masking": "redaction.masking",
    "models.meaning": "checks.meaning",
    "models.pattern_automaton": "checks.pattern_automaton",
    "models.patterns": "checks.patterns",
    "models.pipeline_model": "models.pipeline",
    "models.plan_keys_model": "models.plan_keys",
    "models.reading": "mapping.mapper",
    "models.salvage": "mapping.salvage",
    "models.sealed": "mapping.sealed",
    "models.secret_names": "redaction.names",
    "models.validation_model": "models.validation",
    "models.values": "mapping.values",
    "models.vendor_model": "models.vendor",
    "models.wholeness": "mapping.wholeness",
    "quiet_errors": "redaction.tracebacks",
    "persistence.bare": "persistence.bare_items",
    "repositories.access": "repositories.session",
    "repositories.answers": "repositories.cache_answers",
    "repositories.chain": "repositories.trail",
    "repositories.finder": "repositories.index_reader",
    "repositories.pipeline_head": "repositories.trail",
    "repositories.trail_items": "repositories.trail",
    "repositories.trails": "repositories.trail",
    "seeding.batch_wholes": "transfer.merge.batches",
    "seeding.digest_scopes": "transfer.digests",
    "seeding.edit": "rulesets.editing",
    "seeding.export": "transfer.exporting",
    "seeding.exported_trails": "transfer.exported_trails",
    "seeding.folders": "transfer.files",
    "seeding.four_eyes": "rulesets.saved_plan",
    "seeding.import_state": "transfer.importing",
    "seeding.importing": "transfer.importing",
    "seeding.json_schemas": "rulesets.json_schemas",
    "seeding.marked_tables": "transfer.layout",
    "seeding.meaning": "rulesets.meaning",
    "seeding.merging": "transfer.merge.comparing",
    "seeding.migrate": "transfer.migrating",
    "seeding.plan": "transfer.merge.comparing",
    "seeding.plan_difference": "rulesets.plan_difference",
    "seeding.plan_file": "rulesets.plan_file",
    "seeding.routes": "transfer.layout",
    "seeding.rule_set": "rulesets.reading",
    "seeding.salts": "transfer.digests",
    "seeding.saved_plan": "rulesets.saved_plan",
    "seeding.spans": "transfer.files",
    "seeding.transfer_files": "transfer.files",
    "seeding.whole_merge": "transfer.merge.aggregate_merge",
    "seeding.whole_plans": "transfer.merge.plans",
    "seeding.wholes": "transfer.merge.aggregates",
}


class MovedModules:
    """A finder and loader, asked by Python when no other finder knows a module.

    It has no base class: `importlib.abc` alone takes 13 of the 28 ms of `import bluestar_store` (measured).
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """For old names only."""
        if fullname.startswith(PACKAGE) and fullname.removeprefix(PACKAGE) in MOVED:
            return ModuleSpec(fullname, cast("Loader", self))
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Python makes the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of the empty one, so that both names are one module."""
        home = PACKAGE + MOVED[module.__name__.removeprefix(PACKAGE)]
        warnings.warn(f"{module.__name__} is {home} now", DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(home)
