"""Keeps calculation rules in a cache of the caller's, whose failures never make a read fail."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Protocol

from bluestar_store.persistence.protocols import ICacheBackend, PlainItem
from bluestar_store.redaction.masking import has_secrets

CACHE_TTL = 300
"""Seconds for which a calculation rule is kept."""

_log = logging.getLogger(__name__)


class RuleCache(Protocol):
    """What lies before the read of a calculation rule."""

    def rule(self, plan_id: str, calc_type: str, read: Callable[[], PlainItem]) -> PlainItem:
        """The cached rule, else the one that `read` returns. Raises only what `read` raises."""


class NoRuleCache:
    """Keeps nothing."""

    def rule(self, plan_id: str, calc_type: str, read: Callable[[], PlainItem]) -> PlainItem:
        """What `read` gives."""
        return read()


class BackendRuleCache:
    """Caches rules as JSON under `calc_rule:{plan_id}:{calc_type}`; GLOBAL's under the plan that read them."""

    def __init__(self, backend: ICacheBackend) -> None:
        self._backend = backend

    def rule(self, plan_id: str, calc_type: str, read: Callable[[], PlainItem]) -> PlainItem:
        """See `RuleCache`. A cached value that is no rule counts as missing."""
        if ":" in plan_id or ":" in calc_type:  # two rules would share the key: none of them is kept
            return read()
        key = f"calc_rule:{plan_id}:{calc_type}"
        try:
            kept = _decoded(self._backend.get(key))
        except Exception as error:  # whatever a backend of a user's raises
            _warn("read", error)
            return read()
        return kept if kept is not None else self._keep(key, read())

    def _keep(self, key: str, rule: PlainItem) -> PlainItem:
        if has_secrets(rule):  # an account number that another program put there
            return rule
        try:
            text = json.dumps(rule)
        except TypeError:  # a set or binary value of another program's, which JSON does not have
            return rule
        try:
            self._backend.setex(key, CACHE_TTL, text)
        except Exception as error:  # as above
            _warn("filled", error)
        return rule


def rule_cache(backend: ICacheBackend | None) -> RuleCache:
    """The cache over a backend, or none."""
    return NoRuleCache() if backend is None else BackendRuleCache(backend)


def _decoded(text: str | None) -> PlainItem | None:
    try:
        rule = json.loads(text) if text else None
    except (ValueError, TypeError, RecursionError):
        return None
    return rule if isinstance(rule, dict) and rule else None


def _warn(what: str, error: Exception) -> None:
    """Only the kind of error: its text may show what was kept, or a password."""
    _log.warning("the cache of calculation rules could not be %s (%s)", what, type(error).__name__)
