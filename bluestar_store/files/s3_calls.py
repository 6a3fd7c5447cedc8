"""The one botocore client of an S3 file store, and the one translation of what it reports."""

from __future__ import annotations

from functools import partial
from typing import Any

import botocore.exceptions as aws
import botocore.session
from botocore.config import Config
from botocore.parsers import ResponseParserError

from bluestar_store.errors import (
    AlreadyExistsError,
    BlueStarError,
    ConfigurationError,
    FileMissingError,
    FileStoreError,
)
from bluestar_store.files.clients import ProcessClient, missing, refused
from bluestar_store.redaction.logs import hide_data

CODES: dict[str, type[BlueStarError]] = {
    "NoSuchKey": FileMissingError,
    "404": FileMissingError,  # all that the answer to a HEAD says
    "NotFound": FileMissingError,
    "NoSuchBucket": ConfigurationError,
    "PreconditionFailed": AlreadyExistsError,
    "412": AlreadyExistsError,
    "InvalidAccessKeyId": ConfigurationError,
    "SignatureDoesNotMatch": ConfigurationError,
    "ExpiredToken": ConfigurationError,
    "PermanentRedirect": ConfigurationError,
    "AuthorizationHeaderMalformed": ConfigurationError,
}
"""S3's code to error. A code that is not here keeps its text in a FileStoreError."""

CONFLICT_ATTEMPTS = 4

FAILURES = (aws.BotoCoreError, aws.ClientError, aws.HTTPClientError, ResponseParserError, ValueError, OSError)
"""What a call, or reading its body, may raise."""


class S3Calls:
    """Calls on one bucket."""

    def __init__(
        self,
        bucket: str,
        region: str | None,
        endpoint_url: str | None,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        max_attempts: int,
    ) -> None:
        self.bucket, self._region, self._endpoint_url = bucket, region, endpoint_url
        self._config = Config(
            signature_version="s3v4",  # links, too
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            connect_timeout=connect_timeout_seconds,
            read_timeout=read_timeout_seconds,
            retries={"total_max_attempts": max_attempts, "mode": "standard"},
        )
        self._client = ProcessClient(self._make)
        self._bucket_seen = False

    @property
    def location(self) -> str:
        at = f" at {self._endpoint_url}" if self._endpoint_url else ""
        return f"S3 bucket {self.bucket}{at}"

    @property
    def client(self) -> Any:
        """The botocore client."""
        return self._client()

    def _make(self) -> Any:
        hide_data()
        session = botocore.session.get_session()
        region = self._region or session.get_config_variable("region") or "us-east-1"
        return session.create_client("s3", region_name=region, endpoint_url=self._endpoint_url, config=self._config)

    def __call__(self, operation: str, path: str, **arguments: Any) -> dict[str, Any]:
        """One call by botocore's method name; `path` is for the error. Raises the translated error."""
        try:
            answer = self._sent(operation, arguments)
        except FAILURES as error:
            found = self.translated(error, path)
            if isinstance(found, FileMissingError) and operation == "head_object":
                self._check_bucket()
            raise found from error
        self._bucket_seen = True
        return answer

    def _sent(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The call, again when somebody else's write of the same file was under way: S3 asks for that."""
        call = partial(getattr(self.client, operation), Bucket=self.bucket, **arguments)
        if operation != "put_object":
            return dict(call())
        from bluestar_store.retrying import attempts

        return dict(attempts(aws.ClientError, when=_is_overtaken, most=CONFLICT_ATTEMPTS)(call))

    def _check_bucket(self) -> None:
        """ConfigurationError when there is no bucket: a HEAD of a file does not say which of the two is missing."""
        if not self._bucket_seen:
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except aws.ClientError as error:
                if code_of(error) in ("404", "NoSuchBucket"):
                    raise missing(self.location) from None
            except FAILURES:
                return
            self._bucket_seen = True

    def translated(self, error: Exception, path: str) -> BlueStarError:
        """Our error for one of botocore's."""
        if isinstance(error, aws.ClientError):
            code, message = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
            if code == "NoSuchBucket":
                return missing(self.location)
            return refused(CODES.get(code, FileStoreError), path, self.location, f"{message or code} ({code})")
        if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError | aws.CredentialRetrievalError):
            return ConfigurationError(
                "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if isinstance(error, aws.ProfileNotFound | aws.ConfigParseError | aws.ConfigNotFound):
            return ConfigurationError(f"{error}: mend AWS_PROFILE or the AWS configuration files")
        if isinstance(error, aws.ParamValidationError | aws.InvalidRegionError | ValueError):
            return ConfigurationError(f"{self.location}: {error}: mend BLUESTAR_FILES_URL, the region or the endpoint")
        if isinstance(error, aws.HTTPClientError | aws.ConnectionError | OSError):
            return FileStoreError(f"{self.location} cannot be reached, or broke off ({type(error).__name__}): {path}")
        return FileStoreError(f"{path} ({self.location}): {type(error).__name__}: {error}")

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        self._client.close()


def _is_overtaken(error: BaseException) -> bool:
    return isinstance(error, aws.ClientError) and code_of(error) == "ConditionalRequestConflict"


def code_of(error: aws.ClientError) -> str:
    """S3's error code; of a HEAD the status."""
    return str(error.response.get("Error", {}).get("Code", ""))
