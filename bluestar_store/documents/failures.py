"""The ClientErrors that a store raises: boto3's own class and codes, alike in both modes."""

from __future__ import annotations

from botocore.exceptions import ClientError

GET, PUT, UPDATE, QUERY = "GetItem", "PutItem", "UpdateItem", "Query"
"""The operations that errors name: of `get`, of `create`, of `update_fields` and `soft_delete`, of `find`."""


def invalid(operation: str, reason: str) -> ClientError:
    """DynamoDB's answer to what it cannot take."""
    return _error("ValidationException", operation, reason)


def condition_failed(operation: str, reason: str) -> ClientError:
    """DynamoDB's answer where an item is there and must not be, or the other way round."""
    return _error("ConditionalCheckFailedException", operation, reason)


def _error(code: str, operation: str, reason: str) -> ClientError:
    answer = {"Error": {"Code": code, "Message": reason}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(answer, operation)
