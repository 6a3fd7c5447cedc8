"""Translates a cancelled transaction into one error: DynamoDB gives a reason for each of its items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from bluestar_store.engines.dynamo.translation import error_for
from bluestar_store.engines.missing import missing_table
from bluestar_store.errors import BlueStarError, ConflictError, ThrottledError, TransactionConflictError
from bluestar_store.protocols import Item


class ThrottledTransactionError(ThrottledError):
    """A transaction was cancelled for load, which botocore, unlike for other calls, does not retry."""


def cancellation(
    error: ClientError,
    items: Sequence[tuple[str, str]],
    location: str,
    unmet: Callable[[int, Item | None], ConflictError],
) -> BlueStarError:
    """The error for a cancelled transaction on `items`: the table of each, and its key in words.

    The first condition that does not hold comes before all else: `unmet` makes its error, of the item's number and of
    what is there. Other transactions that interfered come last.
    """
    response: dict[str, Any] = dict(error.response)
    reasons = [
        (number, reason)
        for number, reason in zip(range(len(items)), response.get("CancellationReasons", ()), strict=False)
        if reason.get("Code", "None") != "None"
    ]
    for number, reason in reasons:
        if reason["Code"] == "ConditionalCheckFailed":
            return unmet(number, reason.get("Item"))
    for number, reason in reasons:
        if reason["Code"] != "TransactionConflict":
            request_id = str(response.get("ResponseMetadata", {}).get("RequestId", ""))
            return _other(reason, items[number][0], location, request_id)
    place = ": ".join(items[reasons[0][0]]) if reasons else "the transaction"
    return TransactionConflictError(f"{place}: other transactions kept writing it; nothing was written")


def _other(reason: dict[str, Any], table: str, location: str, request_id: str) -> BlueStarError:
    """The error for a reason that is neither a condition nor another transaction."""
    if reason["Code"].startswith("ResourceNotFound"):  # moto's way to miss a table
        return missing_table(table, location)
    failure = error_for(reason["Code"], str(reason.get("Message", "")), table, request_id)
    if isinstance(failure, ThrottledError):
        return ThrottledTransactionError(str(failure.args[0]), code=failure.code, request_id=request_id)
    return failure
