"""Hides items and credentials in the debug logs of botocore, urllib3 and the other libraries beneath.

It adds filters to loggers: configuring logging replaces handlers and levels, and leaves filters.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial

HIDDEN = "(not shown)"

_LIBRARIES = ("botocore", "boto3", "s3transfer", "urllib3", "pynamodb", "redis", "push_response", "azure")
_ALL_HIDDEN = ("botocore.auth", "botocore.credentials", "botocore.parsers", "botocore.tokens", "botocore.utils")
"""Loggers whose arguments are signatures, credentials and bodies."""
SQL_NAME = "bluestar-store"
"""Of our SQLAlchemy engines, whose logs show rows; those of an application's own engines are its own."""
_SQL = f"sqlalchemy.engine.Engine.{SQL_NAME}"
_EARLY = (
    *_ALL_HIDDEN,
    _SQL,
    *(
        f"botocore.{name}"
        for name in (
            "awsrequest", "client", "compress", "discovery", "endpoint", "handlers", "history", "hooks",
            "httpchecksum", "httpsession", "monitoring", "paginate", "regions", "retries.adaptive", "retries.special",
            "retries.standard", "retryhandler", "session", "signers", "waiter",
        )
    ),
    "boto3.dynamodb.table", "boto3.resources.action", "boto3.resources.base", "boto3.resources.collection",
    "boto3.resources.factory", "boto3.s3.inject", "boto3.s3.transfer", "pynamodb.connection.base", "pynamodb.models",
    "push_response", "redis.client", "redis.cluster", "redis.connection", "redis._parsers.base", "s3transfer.futures",
    "s3transfer.manager", "s3transfer.tasks", "s3transfer.utils", "urllib3.connection", "urllib3.connectionpool",
    "urllib3.poolmanager", "urllib3.response", "urllib3.util.retry",
    "azure.core.pipeline.policies._universal", "azure.core.pipeline.policies.http_logging_policy",
)  # fmt: skip
"""Loggers of modules that may be imported later."""
_TELLING = re.compile(r"[A-Za-z0-9_.:/()=*<>' -]{,200}")
"""Names of operations, events and handlers, URLs without their query."""
_LONG_NUMBER = re.compile(r"[0-9]{7}|[0-9]{3}-[0-9]{2}-[0-9]{4}")


class HideData(logging.Filter):
    """Leaves of each debug record what names and counts things: no body, no parameter, no header.

    Of a warning it takes the queries of URLs, which may be signed.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record says less afterwards."""
        quiet = record.levelno < logging.WARNING
        shown = partial(_shown, record.name) if quiet else _without_query
        if isinstance(record.args, tuple) and record.args:
            record.args = tuple(map(shown, record.args))
        elif isinstance(record.args, Mapping) and record.args:
            record.args = {name: shown(value) for name, value in record.args.items()}
            if quiet and "%(" not in str(record.msg):  # shown whole, by one %s
                record.args = (sorted(record.args),)
        elif quiet and (record.name == "push_response" or _LONG_NUMBER.search(str(record.msg))):
            record.msg = HIDDEN
        if quiet:
            record.exc_info = record.exc_text = None
        return True


def _shown(logger: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return sorted(name for name in map(str, value) if _is_telling(name))
    if logger in (*_ALL_HIDDEN, _SQL) or isinstance(value, bytes | bytearray | list | tuple | set):
        return HIDDEN
    text = str(value).partition("?")[0]
    return text if _is_telling(text) else HIDDEN


def _without_query(value: object) -> object:
    return value.partition("?")[0] if isinstance(value, str) and ("sig=" in value or "ignature=" in value) else value


def _is_telling(text: str) -> bool:
    return _TELLING.fullmatch(text) is not None and _LONG_NUMBER.search(text) is None


_FILTER = HideData()


def hide_data() -> None:
    """Let no logger of the libraries beneath show data. May be called again: after more of them were imported."""
    known = logging.root.manager.loggerDict
    names = [name for name in list(known) if name.partition(".")[0] in _LIBRARIES]
    for name in {*names, *_EARLY}:
        logging.getLogger(name).addFilter(_FILTER)  # once, however often it is added
