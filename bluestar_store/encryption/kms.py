"""Wraps plans' data keys by AWS KMS: the wrapping key never leaves it, and its policy says who may use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import botocore.exceptions as aws
import botocore.session
from botocore.config import Config

from bluestar_store.encryption.values import UnreadableError
from bluestar_store.errors import (
    BlueStarError,
    ConfigurationError,
    EngineError,
    ThrottledError,
    UnavailableError,
)
from bluestar_store.files.clients import ProcessClient
from bluestar_store.redaction.logs import hide_data

FORM = b"K"
"""What a key begins with that was wrapped by KMS."""
UNUSABLE = (
    "AccessDeniedException",
    "DisabledException",
    "IncorrectKeyException",
    "InvalidCiphertextException",
    "InvalidKeyUsageException",
    "KMSInvalidStateException",
    "NotFoundException",
)
"""KMS's codes for what repeating does not mend: the key is not there, not to be used, or another one."""
THROTTLED = ("ThrottlingException", "LimitExceededException")


class KmsKeys:
    """Keys of KMS, by id, ARN or alias: the first one encrypts, all decrypt."""

    form = FORM

    def __init__(
        self, key_ids: Sequence[str], *, region: str | None, connect_seconds: float, read_seconds: float, attempts: int
    ) -> None:
        self._key_ids, self._region = tuple(key_ids), region
        self._config = Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"total_max_attempts": attempts, "mode": "standard"},
        )
        self._client = ProcessClient(self._made)

    def wrap(self, key: bytes, place: tuple[str, ...]) -> bytes:
        """See Wrapper."""
        answer = self._call("encrypt", KeyId=self._key_ids[0], Plaintext=key, EncryptionContext=_context(place))
        return FORM + bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, place: tuple[str, ...]) -> bytes:
        """See Wrapper."""
        for key_id in self._key_ids:
            try:
                return self._decrypted(key_id, wrapped, place)
            except aws.ClientError as error:
                if _code(error) not in UNUSABLE:
                    raise _translated(error) from error
                if key_id != self._key_ids[-1]:
                    continue
                raise UnreadableError(
                    f"is encrypted under a key of AWS KMS that is not to be used here ({_code(error)}; "
                    f"BLUESTAR_ENCRYPTION_KMS_KEY is {', '.join(self._key_ids)})"
                ) from None
        raise AssertionError("unreachable: there is a key")

    def is_current(self, wrapped: bytes, place: tuple[str, ...]) -> bool:
        """See Wrapper."""
        try:
            self._decrypted(self._key_ids[0], wrapped, place)
        except aws.ClientError as error:
            if _code(error) in UNUSABLE:
                return False
            raise _translated(error) from error
        return True

    def _decrypted(self, key_id: str, wrapped: bytes, place: tuple[str, ...]) -> bytes:
        try:
            answer = self._client().decrypt(
                KeyId=key_id, CiphertextBlob=wrapped[len(FORM) :], EncryptionContext=_context(place)
            )
        except aws.BotoCoreError as error:
            raise _translated(error) from error
        return bytes(answer["Plaintext"])

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client(), operation)(**arguments)
        except (aws.BotoCoreError, aws.ClientError) as error:
            raise _translated(error) from error

    def _made(self) -> Any:
        hide_data()  # requests and answers have data keys in the clear
        return botocore.session.get_session().create_client("kms", region_name=self._region, config=self._config)


def _context(place: tuple[str, ...]) -> dict[str, str]:
    """What KMS authenticates besides, and CloudTrail logs: names and keys, no values."""
    return dict(zip(("table", "pk", "sk", "attribute"), place, strict=True))


def _code(error: aws.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _translated(error: Exception) -> BlueStarError:
    if isinstance(error, aws.ClientError):
        code, message = _code(error), str(error.response.get("Error", {}).get("Message", ""))
        if code in THROTTLED:
            return ThrottledError(f"AWS KMS: {message}", code=code)
        if code in UNUSABLE:
            return ConfigurationError(f"BLUESTAR_ENCRYPTION_KMS_KEY: AWS KMS refuses it: {code}: {message}")
        return EngineError(f"AWS KMS: {message or code}", code=code)
    if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError | aws.NoRegionError):
        return ConfigurationError(f"AWS KMS: {error}")
    return UnavailableError(f"AWS KMS cannot be reached ({type(error).__name__})")
