"""The one client of an Azure Blob container, and the one translation of what it reports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import exceptions as azure
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ContainerClient, ExponentialRetry, generate_blob_sas

from bluestar_store.errors import (
    AlreadyExistsError,
    BlueStarError,
    ConfigurationError,
    FileMissingError,
    FileStoreError,
)
from bluestar_store.files.clients import ProcessClient, missing, refused
from bluestar_store.redaction.logs import hide_data

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
ACCOUNT = "AZURE_STORAGE_ACCOUNT"
"""Variables of Azure's own tools."""

CODES: dict[str, type[BlueStarError]] = {
    "BlobNotFound": FileMissingError,
    "ContainerNotFound": ConfigurationError,
    "ContainerBeingDeleted": ConfigurationError,
    "ContainerDisabled": ConfigurationError,
    "BlobAlreadyExists": AlreadyExistsError,
    "ConditionNotMet": AlreadyExistsError,
    "TargetConditionNotMet": AlreadyExistsError,
    "SourceConditionNotMet": AlreadyExistsError,
    "CannotVerifyCopySource": FileMissingError,
    "AuthenticationFailed": ConfigurationError,
    "InvalidAuthenticationInfo": ConfigurationError,
    "AuthorizationFailure": ConfigurationError,
    "AuthorizationPermissionMismatch": ConfigurationError,
    "AccountIsDisabled": ConfigurationError,
}
"""Azure's code to error. A code that is not here keeps its text in a FileStoreError."""

PAGE_BLOBS = 5000
"""What one call of a list gives: the most that Azure does."""

FAILURES = (azure.AzureError, ValueError, OSError)
"""What a call, or reading its body, may raise."""

NO_ACCOUNT = (
    f"az:// needs a storage account: set {CONNECTION_STRING}, or {ACCOUNT}, or BLUESTAR_FILES_ENDPOINT_URL "
    "(https://ACCOUNT.blob.core.windows.net)"
)


class AzureCalls:
    """Calls on one container. The account is that of the endpoint, of the connection string, or AZURE_STORAGE_ACCOUNT.

    Credentials: those of the connection string, else what azure-identity finds.
    """

    def __init__(
        self,
        container: str,
        endpoint_url: str | None,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        max_attempts: int,
    ) -> None:
        self.container = container
        self._options: dict[str, Any] = {
            "connection_timeout": connect_timeout_seconds,
            "read_timeout": read_timeout_seconds,
            # Up to 1 s, then 1 to 3, 3 to 5: the SDK's own first pause is 15 s.
            "retry_policy": ExponentialRetry(
                initial_backoff=0, increment_base=2, retry_total=max_attempts - 1, random_jitter_range=1
            ),
            # A checksum of a range is had up to 4 MiB (an Azure limit).
            "max_single_get_size": 4 * 1024 * 1024,
            "max_chunk_get_size": 4 * 1024 * 1024,
        }
        self._connection_string = os.environ.get(CONNECTION_STRING)
        self._account = os.environ.get(ACCOUNT)
        if endpoint_url is None and self._account and not self._connection_string:
            endpoint_url = f"https://{self._account}.blob.core.windows.net"
        self._endpoint_url = endpoint_url
        if not self._connection_string and not self._endpoint_url:
            raise ConfigurationError(NO_ACCOUNT)
        hide_data()
        made = self._make()  # sends nothing, and finds a malformed connection string
        self.location = f"Azure container {container} at {made.scheme}://{made.primary_hostname}"
        self._client = ProcessClient(self._make)

    @property
    def client(self) -> ContainerClient:
        """The SDK's client of the container."""
        found: ContainerClient = self._client()
        return found

    def _make(self) -> ContainerClient:
        try:
            return self._service().get_container_client(self.container)
        except ValueError:  # its text might repeat a part of the connection string
            if self._connection_string:
                raise ConfigurationError(f"{CONNECTION_STRING} is none of a storage account: mend it") from None
            raise ConfigurationError(
                f"BLUESTAR_FILES_ENDPOINT_URL is no https:// URL: set {CONNECTION_STRING} for an account without TLS"
            ) from None

    def _service(self) -> BlobServiceClient:
        if not self._connection_string:
            return BlobServiceClient(str(self._endpoint_url), DefaultAzureCredential(), **self._options)
        service = BlobServiceClient.from_connection_string(self._connection_string, **self._options)
        if self._endpoint_url is None:
            return service
        return BlobServiceClient(self._endpoint_url, service.credential, **self._options)

    def __call__(self, operation: str, path: str, key: str, **arguments: Any) -> Any:
        """One call of a blob client's method; `path` is for the error. Raises the translated error."""
        try:
            return getattr(self.client.get_blob_client(key), operation)(**arguments)
        except FAILURES as error:
            raise self.translated(error, path) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of all blobs that begin with the prefix, but folders (of accounts with a hierarchical namespace)."""
        try:
            for blob in self.client.list_blobs(
                name_starts_with=prefix, include=["metadata"], results_per_page=PAGE_BLOBS
            ):
                if not is_folder(blob.metadata):
                    yield blob.name
        except FAILURES as error:
            raise self.translated(error, prefix) from error

    def link(self, key: str, expires_seconds: int) -> str:
        """A URL that is signed with the account's key, or with one that the identity is given."""
        now = datetime.now(UTC)
        expiry = now + timedelta(seconds=expires_seconds)
        client = self.client
        blob, signer = client.get_blob_client(key), client.credential
        what: dict[str, Any] = {"container_name": self.container, "blob_name": key, "permission": "r", "expiry": expiry}
        try:
            if hasattr(signer, "account_key"):
                signature = generate_blob_sas(signer.account_name, account_key=signer.account_key, **what)
            elif hasattr(signer, "get_token"):
                account = client.account_name or self._account
                if account is None:
                    raise FileStoreError(f"{self.location} does not tell the account's name: set {ACCOUNT}")
                with self._service() as service:
                    delegated = service.get_user_delegation_key(now, expiry)
                signature = generate_blob_sas(account, user_delegation_key=delegated, **what)
            else:
                raise FileStoreError(f"{self.location}: a shared access signature cannot sign a link; use a key")
        except FAILURES as error:
            raise self.translated(error, key) from error
        return f"{blob.url}?{signature}"

    def translated(self, error: Exception, path: str) -> BlueStarError:
        """Our error for one of the SDK's, with the first line of its text only: the rest may show what was signed."""
        if isinstance(error, azure.HttpResponseError) and error.response is not None:
            code = code_of(error)
            if code == "ContainerNotFound":
                return missing(self.location)
            kind, mend = CODES.get(code, FileStoreError), ""
            if kind is ConfigurationError:
                mend = f": mend {CONNECTION_STRING}, or what the identity is allowed"
            return refused(kind, path, self.location, f"{_first_line(error)} ({code}){mend}")
        if isinstance(error, azure.ClientAuthenticationError):
            return ConfigurationError(
                f"no Azure credentials found: set {CONNECTION_STRING}, or what azure-identity looks for"
            )
        if isinstance(error, azure.ServiceRequestError | azure.ServiceResponseError | OSError):
            return FileStoreError(f"{self.location} cannot be reached, or broke off ({type(error).__name__}): {path}")
        return FileStoreError(f"{path} ({self.location}): {type(error).__name__}: {_first_line(error)}")

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        self._client.close()


def code_of(error: azure.HttpResponseError) -> str:
    """Azure's error code; without one, the status."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or error.status_code)


def is_folder(metadata: dict[str, str] | None) -> bool:
    """Whether the blob stands for a folder."""
    return (metadata or {}).get("hdi_isfolder") == "true"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
