"""The one connection to DynamoDB, and the one translation of what AWS and botocore report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions as aws
import botocore.session
from botocore.parsers import ResponseParserError
from pynamodb.connection import Connection

from bluestar_store.engines.dynamo.client_files import read_client_files_sparingly
from bluestar_store.engines.dynamo.direct import UNDECIDED, DirectCalls
from bluestar_store.engines.dynamo.tries import Tries
from bluestar_store.engines.missing import missing_index, missing_table
from bluestar_store.errors import (
    AccessDeniedError,
    BlueStarError,
    ConfigurationError,
    EngineError,
    InvalidWriteError,
    ItemTooLargeError,
    ThrottledError,
    TransactionConflictError,
    UnavailableError,
)
from bluestar_store.forking import remember
from bluestar_store.redaction.logs import hide_data
from bluestar_store.redaction.masking import masked_digits
from bluestar_store.sending import about_to_send
from bluestar_store.settings import Settings

AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")
"""What the names of AWS's own endpoints end with, those in a network of one's own, too."""
CODES: dict[str, type[EngineError]] = {
    "ProvisionedThroughputExceededException": ThrottledError,
    "RequestLimitExceeded": ThrottledError,
    "ThrottlingException": ThrottledError,
    "ThrottlingError": ThrottledError,
    "ProvisionedThroughputExceeded": ThrottledError,
    "LimitExceededException": ThrottledError,
    "InternalServerError": UnavailableError,
    "InternalFailure": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "ServiceUnavailableException": UnavailableError,
    "TransactionInProgressException": UnavailableError,
    "AccessDeniedException": AccessDeniedError,
    "AccessDenied": AccessDeniedError,
    "UnrecognizedClientException": AccessDeniedError,
    "InvalidSignatureException": AccessDeniedError,
    "MissingAuthenticationTokenException": AccessDeniedError,
    "IncompleteSignatureException": AccessDeniedError,
    "ExpiredTokenException": AccessDeniedError,
    "InvalidClientTokenId": AccessDeniedError,
    "KMSAccessDeniedException": AccessDeniedError,
    "ItemCollectionSizeLimitExceededException": ItemTooLargeError,
    "ItemCollectionSizeLimitExceeded": ItemTooLargeError,
}
"""AWS error code to error. A code that is not here keeps its text in a plain EngineError."""

UNREADABLE = (ResponseParserError, UnicodeDecodeError, AttributeError, KeyError, TypeError)
"""What botocore's parser raises for an answer that is not DynamoDB's."""
FAILURES = (aws.BotoCoreError, aws.ClientError, *UNREADABLE)
"""What a call may raise."""

NEVER_SENT = (
    aws.ConnectTimeoutError,
    aws.EndpointConnectionError,
    aws.ProxyConnectionError,
    aws.SSLError,
)
"""What botocore raises before DynamoDB has anything of a call."""
TRANSACTION = "transact_write_items"

NO_INDEX = ("does not have", "backfilling")
"""What DynamoDB says of an index that is not there, or is only being filled and not to be asked yet."""

ANSWERS = {
    "batch_get_item": "Responses",
    "batch_write_item": "UnprocessedItems",
    "describe_table": "Table",
    "query": "Items",
    "scan": "Items",
    "transact_get_items": "Responses",
}
"""What DynamoDB's answer to an operation always has: botocore takes other JSON, or none, for an empty answer."""


class AwsConnection:
    """One PynamoDB Connection, hence one botocore client, made at the first call, by one thread."""

    def __init__(
        self,
        *,
        region: str | None,
        endpoint_url: str | None,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        max_attempts: int,
        pool_connections: int,
    ) -> None:
        self._region, self._endpoint_url = region, endpoint_url
        self._timeouts = {
            "connect_timeout_seconds": connect_timeout_seconds,
            "read_timeout_seconds": read_timeout_seconds,
        }
        self._max_attempts, self._pool_connections = max_attempts, pool_connections
        self.forked()
        self._current = _Current()
        remember(self)

    def forked(self) -> None:
        """In a forked child, which must not share the sockets: it makes a connection of its own."""
        self._lock = threading.Lock()
        self._ready: tuple[Connection, Any, DirectCalls | None] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> AwsConnection:
        """As the settings say."""
        return cls(
            region=settings.aws_region,
            endpoint_url=settings.dynamodb_endpoint_url,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            read_timeout_seconds=settings.read_timeout_seconds,
            max_attempts=settings.max_attempts,
            pool_connections=2 * settings.parallel_calls,
        )

    @property
    def location(self) -> str:
        """The endpoint and region, as far as they are known before the first call."""
        return f"DynamoDB at {self._endpoint_url}" if self._endpoint_url else f"DynamoDB in {self._region or 'AWS'}"

    @property
    def foreign_endpoint(self) -> str:
        """The endpoint in one spelling, where it is none of AWS's own; else empty. Raises ConfigurationError."""
        url = urlsplit(self._made()[1].meta.endpoint_url)
        host = (url.hostname or "").lower()
        if host.endswith(AWS_HOSTS):
            return ""
        return f"{'127.0.0.1' if host == 'localhost' else host}:{url.port or url.scheme}"

    @property
    def connection(self) -> Connection:
        """The PynamoDB connection that bound Models share."""
        return self._made()[0]

    def _made(self) -> tuple[Connection, Any, DirectCalls | None]:
        """The connection, its botocore client, and the direct way past most of it."""
        made = self._ready
        if made is not None:
            return made
        with self._lock:
            if self._ready is None:
                hide_data()
                region = self._region or botocore.session.get_session().get_config_variable("region")
                if region is None and self._endpoint_url is None:
                    raise ConfigurationError(
                        "no AWS region: set BLUESTAR_AWS_REGION (or --region) or AWS_DEFAULT_REGION"
                    )
                self._region = region or "us-east-1"
                # The direct way takes the first try away from botocore; where it may not try again, there is none.
                direct = None
                if self._max_attempts > 1:
                    connection, client = self._connected(self._max_attempts - 1)
                    direct = self._direct(client)
                if direct is None:
                    connection, client = self._connected(self._max_attempts)
                self._ready = connection, client, direct
            return self._ready

    def _direct(self, client: Any) -> DirectCalls | None:
        try:
            return DirectCalls.of(client)
        except aws.BotoCoreError as error:
            raise translated(error, "", self.location) from error

    def _connected(self, attempts: int) -> tuple[Connection, Any]:
        connection = Connection(
            region=self._region,
            host=self._endpoint_url,
            retry_configuration={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=self._pool_connections,
            **self._timeouts,  # type: ignore[arg-type]  # both are floats
        )
        read_client_files_sparingly(connection.session)
        try:
            client: Any = connection.client
        except (aws.BotoCoreError, ValueError) as error:  # a region or an endpoint that cannot be one
            raise translated(error, "", self.location) from error
        if client._request_signer._credentials is None:
            # Not kept: PynamoDB makes a new client while there are no credentials, and so do we.
            raise _no_credentials()
        self._current.follow(client)
        return connection, client

    def call(self, operation: str, table: str, tries: Tries | None = None, **arguments: Any) -> dict[str, Any]:
        """One call by botocore's method name. Retries of what may pass by itself are botocore's (standard mode).

        Raises the translated error; a cancelled transaction comes up as botocore's ClientError, for its reasons. The
        `tries` of a transaction that is written are told of each, and say in the error whether one may be applied.
        """
        if operation == TRANSACTION:
            about_to_send()
        try:
            return self._answered(operation, tries, arguments)
        except FAILURES as error:
            if isinstance(error, aws.ClientError) and code_of(error) == "TransactionCanceledException":
                raise
            found = translated(error, table, self.location)
            if tries is not None and tries.in_doubt:
                if isinstance(found, ConfigurationError):
                    found = UnavailableError(str(found))  # credentials that are gone say nothing of the try before
                if isinstance(found, EngineError):
                    found.outcome_unknown = True
            raise found from error

    def _answered(self, operation: str, tries: Tries | None, arguments: dict[str, Any]) -> dict[str, Any]:
        _, client, direct = self._made()
        if direct is not None:
            answer = _directly(direct, operation, tries, arguments)
            if answer is not None and ANSWERS.get(operation) in (None, *answer):
                return answer
        self._current.tries = tries
        try:
            ordinary: dict[str, Any] = getattr(client, operation)(**arguments)
        finally:
            self._current.tries = None
        _check_answer(operation, ordinary)
        return ordinary

    def close(self) -> None:
        """Close the pool."""
        with self._lock:
            if self._ready is not None:
                _, client, direct = self._ready
                client.close()
                if direct is not None:
                    direct.close()
            self._ready = None


class _Current(threading.local):
    """The tries of the call that this thread is in botocore with, told to them by botocore's events."""

    tries: Tries | None = None

    def signing(self, **_: Any) -> None:
        """Before a try is signed."""
        if self.tries is not None:
            self.tries.check()

    def sending(self, **_: Any) -> None:
        """Before a try is sent; what is signed is."""
        if self.tries is not None:
            self.tries.sent()

    def heard(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        """After every try of which botocore could make out anything."""
        if response is None:
            refused = isinstance(caught_exception, NEVER_SENT)
        else:
            http, parsed = response
            code = str(parsed.get("Error", {}).get("Code", ""))
            refused = 400 <= http.status_code < 500 and code not in UNDECIDED
        if refused and self.tries is not None:
            self.tries.refused()

    def follow(self, client: Any) -> None:
        """Be told of the client's transactions."""
        for event, hear in self._heard_of():
            client.meta.events.register(event, hear)

    def leave(self, client: Any) -> None:
        """Not any more."""
        for event, hear in self._heard_of():
            client.meta.events.unregister(event, hear)

    def _heard_of(self) -> Iterator[tuple[str, Callable[..., None]]]:
        for event, hear in (("before-sign", self.signing), ("before-send", self.sending), ("needs-retry", self.heard)):
            yield f"{event}.dynamodb.TransactWriteItems", hear


def _directly(
    direct: DirectCalls, operation: str, tries: Tries | None, arguments: dict[str, Any]
) -> dict[str, Any] | None:
    """The answer to a first try past botocore, if there is one."""
    if tries is None:
        return direct.call(operation, arguments)[0]
    tries.check()
    tries.sent()
    try:
        answer, in_doubt = direct.call(operation, arguments)
    except aws.ClientError:
        tries.refused()
        raise
    if answer is None and not in_doubt:
        tries.refused()
    return answer


def code_of(error: aws.ClientError) -> str:
    """The AWS error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: Exception, table: str, location: str) -> BlueStarError:
    """Our error for one of botocore's."""
    if isinstance(error, aws.ClientError):
        return _from_code(error, table, location)
    if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError | aws.CredentialRetrievalError):
        return _no_credentials()
    if isinstance(error, aws.ProfileNotFound | aws.ConfigParseError | aws.ConfigNotFound):
        return ConfigurationError(f"{error}: mend AWS_PROFILE or the AWS configuration files")
    if isinstance(error, aws.NoRegionError | aws.InvalidRegionError):
        return ConfigurationError(f"{error}: mend BLUESTAR_AWS_REGION or the AWS configuration")
    if isinstance(error, UNREADABLE):
        return UnavailableError(f"{location} sent an answer that cannot be read (is it DynamoDB?)")
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return UnavailableError(
            f"{location} cannot be reached ({type(error).__name__}); is BLUESTAR_DYNAMODB_ENDPOINT_URL or the region "
            "right, and the server running?"
        )
    if isinstance(error, ValueError):
        return ConfigurationError(f"BLUESTAR_DYNAMODB_ENDPOINT_URL: {error}")
    return EngineError(f"{location}: {type(error).__name__}: {error}")


def error_for(code: str, message: str, table: str, request_id: str = "") -> EngineError:
    """Our error for an AWS code, of a whole call or of one write in a cancelled transaction.

    A server's message may repeat what it was sent: numbers in it are masked.
    """
    kind = CODES.get(code, EngineError)
    if kind is EngineError and code.startswith("Validation"):
        too_large = message.startswith("Item size") and "exceeded" in message
        kind = ItemTooLargeError if too_large else InvalidWriteError
    return kind(f"{table}: {masked_digits(message) or code}", code=code, request_id=request_id)


def _from_code(error: aws.ClientError, table: str, location: str) -> BlueStarError:
    code = code_of(error)
    message = str(error.response.get("Error", {}).get("Message", ""))
    request_id = str(error.response.get("ResponseMetadata", {}).get("RequestId", ""))
    if code == "ResourceNotFoundException":
        if message.startswith("Invalid index: "):  # moto's words
            return missing_index(table, message.split()[2], location)
        return missing_table(table, location)
    if code.startswith("Validation") and "index" in message.lower() and any(text in message for text in NO_INDEX):
        return missing_index(table, message.rpartition(" ")[2], location)
    if code == "TransactionConflictException":
        return TransactionConflictError(f"{table}: {message}")
    if code not in CODES and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return UnavailableError(f"{location}: {message or code}", code=code, request_id=request_id)
    return error_for(code, message, table, request_id)


def _check_answer(operation: str, answer: dict[str, Any]) -> None:
    """ResponseParserError for an answer of something else, such as a proxy's page: no write may seem done by it."""
    kind = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("content-type", "json")
    if "json" not in kind or ANSWERS.get(operation, "ResponseMetadata") not in answer:
        raise ResponseParserError(f"not an answer to {operation}")


def _no_credentials() -> ConfigurationError:
    return ConfigurationError(
        "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
        "(for DynamoDB Local any values will do)"
    )
