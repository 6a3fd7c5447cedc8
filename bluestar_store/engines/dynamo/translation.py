"""The one translation of what AWS and botocore report into the library's errors."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as aws
from botocore.parsers import ResponseParserError

from bluestar_store.engines.dynamo.direct import UnreadableAnswerError
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
from bluestar_store.redaction.masking import masked_digits

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

UNREADABLE = (UnreadableAnswerError, ResponseParserError, AttributeError, KeyError, TypeError, ValueError)
"""What botocore's parser raises for an answer that is not DynamoDB's."""
FAILURES = (aws.BotoCoreError, aws.ClientError, *UNREADABLE)
"""What a call may raise."""
NO_INDEX = ("does not have", "backfilling")
"""What DynamoDB says of an index that is not there, or is only being filled and not to be asked yet."""
CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.MetadataRetrievalError,
    aws.SSOError,
    aws.InvalidConfigError,
    aws.InfiniteLoopConfigError,
    aws.RefreshWithMFAUnsupportedError,
    aws.UnknownCredentialError,
)
"""What botocore raises for want of credentials."""
CONFIGURATION = (
    aws.InvalidRetryConfigurationError,
    aws.InvalidDefaultsMode,
    aws.InvalidSTSRegionalEndpointsConfigError,
    aws.InvalidEndpointDiscoveryConfigurationError,
    aws.InvalidIMDSEndpointError,
    aws.InvalidIMDSEndpointModeError,
)
"""What botocore raises for a value in its variables and files that is none."""
CREDENTIAL_CALLS = (
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "CreateToken",
    "CreateOAuth2Token",
    "GetRoleCredentials",
    "GetSessionToken",
)
"""The calls of other services by which botocore gets credentials."""
CREDENTIAL_HOSTS = ("sts", "sts-fips", "oidc", "portal.sso", "signin")
"""Where those are made."""


def code_of(error: aws.ClientError) -> str:
    """The AWS error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: Exception, table: str, location: str) -> BlueStarError:
    """Our error for one of botocore's."""
    if _is_of_credentials(error):
        return credentials_error(error)
    if isinstance(error, aws.ClientError):
        return _from_code(error, table, location)
    if isinstance(error, aws.ProfileNotFound | aws.ConfigParseError | aws.ConfigNotFound):
        return ConfigurationError(f"{error}: mend AWS_PROFILE or the AWS configuration files")
    if isinstance(error, CONFIGURATION):
        return ConfigurationError(f"{error}: mend it in AWS's variables or configuration files")
    if isinstance(error, aws.NoRegionError | aws.InvalidRegionError):
        return ConfigurationError(f"{error}: mend BLUESTAR_AWS_REGION or the AWS configuration")
    if isinstance(error, aws.SSLError):
        return UnavailableError(
            f"{location} has a certificate that is not trusted, or does not speak TLS "
            f"({masked_digits(str(error.kwargs.get('error')))}); AWS_CA_BUNDLE names a file of authorities to trust"
        )
    if isinstance(error, UNREADABLE):
        return UnavailableError(f"{location} sent an answer that cannot be read (is it DynamoDB?)")
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return UnavailableError(
            f"{location} cannot be reached ({type(error).__name__}); is BLUESTAR_DYNAMODB_ENDPOINT_URL or the region "
            "right, and the server running?"
        )
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


def _is_of_credentials(error: Exception) -> bool:
    """Whether it is of getting credentials, which botocore may do in the middle of a call."""
    if isinstance(error, aws.ClientError):
        return error.operation_name in CREDENTIAL_CALLS
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return any(f"//{name}." in str(error.kwargs.get("endpoint_url")) for name in CREDENTIAL_HOSTS)
    return isinstance(error, CREDENTIALS)


def frozen_credentials(signer: Any) -> Any:
    """The credentials of a client's signer as they are now, renewed if they have to be; None where it has none.

    Raises ConfigurationError.
    """
    try:
        return signer._credentials and signer._credentials.get_frozen_credentials()
    except Exception as error:  # of botocore, of a process, of another service
        raise credentials_error(error) from error


def credentials_error(error: Exception | None) -> ConfigurationError:
    """The error for credentials that cannot be had, with the reason that their source gave; None: nobody has any."""
    if isinstance(error, aws.ProfileNotFound | aws.ConfigParseError | aws.ConfigNotFound):
        failure = ConfigurationError(f"{error}: mend AWS_PROFILE or the AWS configuration files")
    elif error is None or isinstance(error, aws.NoCredentialsError):
        failure = ConfigurationError(
            "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "(for DynamoDB Local any values will do)"
        )
    else:
        failure = ConfigurationError(
            f"no AWS credentials can be had ({type(error).__name__}): {str(error).strip()}; sign in again, or mend "
            "AWS_PROFILE or what it names"
        )
    failure.may_pass = True
    return failure
