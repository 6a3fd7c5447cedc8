"""The one connection to DynamoDB: a botocore client, and the direct way past most of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import botocore.exceptions as aws
import botocore.session
from botocore.parsers import ResponseParserError
from pynamodb.connection import Connection

from bluestar_store.engines.dynamo.client_files import read_client_files_sparingly
from bluestar_store.engines.dynamo.direct import ANSWERS as ITEM_ANSWERS
from bluestar_store.engines.dynamo.direct import DirectCalls, Unanswered
from bluestar_store.engines.dynamo.events import CallEvents, Tries
from bluestar_store.engines.dynamo.location import describe_location, host_is_of_aws
from bluestar_store.engines.dynamo.retry_settings import retry_mode, with_aws_retries
from bluestar_store.engines.dynamo.translation import (
    FAILURES,
    code_of,
    credentials_error,
    frozen_credentials,
    translated,
)
from bluestar_store.errors import BlueStarError, ConfigurationError, EngineError, UnavailableError
from bluestar_store.forking import remember
from bluestar_store.redaction.logs import hide_data
from bluestar_store.settings import Settings

TRANSACTION = "transact_write_items"
ANSWERS = ITEM_ANSWERS | {"describe_table": "Table"}
"""What DynamoDB's answer to an operation always has: botocore takes other JSON, or none, for an empty answer."""


class Made(NamedTuple):
    """What calls go through, once there is any."""

    connection: Connection | None
    """None for a client that PynamoDB did not make."""
    client: Any
    direct: DirectCalls | None


class AwsConnection:
    """One PynamoDB Connection, hence one botocore client, made at the first call, by one thread."""

    tracing: Callable[..., dict[str, Any]] | None = None
    """Where set, it makes each call, by the function that it is given first: see `telemetry.trace`."""

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
        self._location = ""
        self.forked()
        self._events = CallEvents()
        remember(self)

    def forked(self) -> None:
        """In a forked child, which must not share the sockets: it makes a connection of its own."""
        self._lock = threading.Lock()
        self._ready: Made | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> AwsConnection:
        """As the settings say, and where they do not, AWS's environment and configuration."""
        return cls(
            region=settings.aws_region,
            endpoint_url=settings.dynamodb_endpoint_url,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            read_timeout_seconds=settings.read_timeout_seconds,
            max_attempts=with_aws_retries(settings).max_attempts,
            pool_connections=2 * settings.parallel_calls,
        )

    @property
    def location(self) -> str:
        """The endpoint, or the region whose usual one it is. No call is made to find out, and no client."""
        if not self._location:
            self._location = describe_location(self._region, self._endpoint_url)
        return self._location

    def server(self) -> tuple[str, str, str]:
        """Host, port and region of the client that there is; empty while there is none."""
        made = self._ready
        if made is None:
            return "", "", ""
        url = urlsplit(made.client.meta.endpoint_url)
        return url.hostname or "", str(url.port or {"http": 80}.get(url.scheme, 443)), made.client.meta.region_name

    @property
    def foreign_endpoint(self) -> str:
        """The endpoint in one spelling, where it is none of AWS's own; else empty. Raises ConfigurationError."""
        url = urlsplit(self._made().client.meta.endpoint_url)
        host = (url.hostname or "").lower()
        if host_is_of_aws(host):
            return ""
        return f"{'127.0.0.1' if host == 'localhost' else host}:{url.port or url.scheme}"

    @property
    def connection(self) -> Connection:
        """The PynamoDB connection that bound Models share."""
        connection = self._made().connection
        if connection is None:
            raise ConfigurationError("the connection is a boto3 resource, which binds no Models")
        return connection

    def _made(self) -> Made:
        made = self._ready
        if made is not None:
            return made
        with self._lock:
            if self._ready is None:
                hide_data()
                connection, client = self._connected()
                self._location = describe_location(client.meta.region_name, client.meta.endpoint_url)
                frozen_credentials(client._request_signer)  # which the direct way is tried out with
                try:
                    self._ready = Made(connection, client, DirectCalls.of(client, connection))
                except aws.BotoCoreError as error:
                    raise translated(error, "", self.location) from error
            return self._ready

    def _connected(self) -> tuple[Connection, Any]:
        try:
            session = botocore.session.get_session()
            self._region = self._region or session.get_config_variable("region")
            if self._region is None and self._endpoint_url is None:
                raise ConfigurationError("no AWS region: set BLUESTAR_AWS_REGION (or --region) or AWS_DEFAULT_REGION")
            self._region = self._region or "us-east-1"
            connection = Connection(
                region=self._region,
                host=self._endpoint_url,
                retry_configuration={"total_max_attempts": self._max_attempts, "mode": retry_mode(session)},
                max_pool_connections=self._pool_connections,
                **self._timeouts,  # type: ignore[arg-type]  # both are floats
            )
            read_client_files_sparingly(connection.session)
            credentials_of(connection.session)
            client: Any = connection.client
        except aws.BotoCoreError as error:
            raise translated(error, "", self.location) from error
        except ValueError as error:
            raise ConfigurationError(f"BLUESTAR_DYNAMODB_ENDPOINT_URL: {error}") from error
        self._events.register(client)
        return connection, client

    def call(self, operation: str, table: str, tries: Tries | None = None, **arguments: Any) -> dict[str, Any]:
        """One call by botocore's method name. botocore retries transient errors.

        Raises the translated error; a cancelled transaction comes up as botocore's ClientError, for its reasons. The
        `tries` of a transaction that is written are told of each, and say in the error whether one may be applied.
        """
        try:
            if self.tracing is not None:
                return self.tracing(self._answered, operation, table, tries, arguments)
            return self._answered(operation, table, tries, arguments)
        except FAILURES as error:
            if isinstance(error, aws.ClientError) and code_of(error) == "TransactionCanceledException":
                raise
            found = translated(error, table, self.location)
            if tries is not None and tries.in_doubt:
                found = _in_doubt(found)
            raise found from error
        except ConfigurationError as error:  # credentials
            if tries is not None and tries.in_doubt:
                raise _in_doubt(error) from error
            raise

    def _answered(self, operation: str, table: str, tries: Tries | None, arguments: dict[str, Any]) -> dict[str, Any]:
        _, client, direct = self._made()
        outcome = None
        if direct is not None:
            if tries is not None:
                tries.check()
            request = direct.request(operation, arguments, frozen_credentials(client._request_signer))
            if request is not None:
                if tries is not None:
                    tries.sent()
                try:
                    return direct.send(request)
                except Unanswered as unanswered:
                    outcome = unanswered.outcome
        with self._events.calling(tries, outcome) as call:
            ordinary: dict[str, Any] = getattr(client, operation)(**arguments)
        name = ANSWERS.get(operation)
        if not call.is_object or (name is not None and name not in ordinary):
            raise ResponseParserError(f"not an answer to {operation}")  # such as a proxy's page: nothing is done by it
        return ordinary

    def close(self) -> None:
        """Close the pool."""
        with self._lock:
            if self._ready is not None:
                self._ready.client.close()
                if self._ready.direct is not None:
                    self._ready.direct.close()
            self._ready = None


def credentials_of(session: Any) -> None:
    """Look for credentials, by every way that botocore knows. Raises ConfigurationError."""
    try:
        found = session.get_credentials()
    except Exception as error:  # of botocore, of a process, of another service
        raise credentials_error(error) from error
    if found is None:  # not kept: the next call looks again
        raise credentials_error(None)


def _in_doubt(error: BlueStarError) -> BlueStarError:
    """The error of a try after one that may have been applied: of that it says nothing, such as for credentials."""
    if isinstance(error, ConfigurationError):
        error = UnavailableError(str(error))
    if isinstance(error, EngineError):
        error.outcome_unknown = True
    return error
