"""Is the engine there, and does it know the credentials?"""

from __future__ import annotations

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.errors import (
    AccessDeniedError,
    BlueStarError,
    ConfigurationError,
    ItemDecodeError,
    ThrottledError,
    UnavailableError,
)
from bluestar_store.settings import PersistenceMode
from bluestar_store.store import Store

UNKNOWN_CREDENTIALS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
"""AWS codes for credentials that no permission could help."""
MEND_CREDENTIALS = (
    "AWS does not know these credentials, or they have expired: set AWS_PROFILE, or AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or sign in again"
)


def check(store: Store) -> tuple[Finding, ...]:
    """Why nothing else can be looked at; empty when the engine answers."""
    try:
        store.engine.describe(store.tables.specs()[0])
    except ThrottledError:  # busy, so it is there
        return ()
    except AccessDeniedError as error:
        if store.settings.persistence_mode is PersistenceMode.FILE:
            mend = "let this user read and write the folder (BLUESTAR_FILE_PERSISTENCE_DIR), or name another one"
            return (_finding("engine", error, mend),)
        if error.code in UNKNOWN_CREDENTIALS:
            return (_finding("credentials", error, MEND_CREDENTIALS),)
        return ()  # one call that is denied: `permissions` finds all of them
    except ConfigurationError as error:
        return (_finding("engine", error, "the settings are not complete: mend the one that is named"),)
    except UnavailableError as error:
        return (_finding("engine", error, _mend_of_silence(store)),)
    except ItemDecodeError as error:
        return (_finding("engine", error, "mend that place of the file with an editor, or restore the file"),)
    except BlueStarError as error:
        return (_finding("engine", error, "see what the error says; `bluestar-store --debug inspect` shows more"),)
    return ()


def _finding(check: str, error: BlueStarError, mend: str) -> Finding:
    return Finding(Severity.ERROR, check, str(error), mend)


def _mend_of_silence(store: Store) -> str:
    if store.settings.persistence_mode is PersistenceMode.FILE:
        return "free the folder (BLUESTAR_FILE_PERSISTENCE_DIR): is another process holding it, or its disk full?"
    if store.settings.dynamodb_endpoint_url:
        return "start the server, or correct BLUESTAR_DYNAMODB_ENDPOINT_URL (--endpoint-url)"
    return "check the network and BLUESTAR_AWS_REGION (--region), else the AWS SDK's own region"
