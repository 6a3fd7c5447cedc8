"""An environment in which no test reaches a real AWS account, nor sees a developer's own settings."""

from __future__ import annotations

import os
from typing import Protocol

FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",  # fake on purpose
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
INSTALL = "pip install 'bluestar-store[testing]'"
"""What to say where something for tests is not installed."""
UNPREFIXED = ("PERSISTENCE_MODE", "FILE_PERSISTENCE_DIR")
"""Settings that are also read without the prefix."""


class Patch(Protocol):
    """The part of pytest's MonkeyPatch that is used here; it undoes all changes."""

    def setenv(self, name: str, value: str) -> None: ...
    def delenv(self, name: str, raising: bool = True) -> None: ...


def without_settings(patch: Patch) -> None:
    """Take this library's settings out of the environment; BLUESTAR_TEST_ variables are none, and stay."""
    for name in list(os.environ):
        known = name.upper()  # settings are read in any case
        if known in UNPREFIXED or (known.startswith("BLUESTAR_") and not known.startswith("BLUESTAR_TEST_")):
            patch.delenv(name)


def with_fake_aws(patch: Patch) -> None:
    """Take everything of AWS's and Azure's out of the environment, and put credentials there that no account has."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_")):
            patch.delenv(name)
    for name, value in FAKE_AWS.items():
        patch.setenv(name, value)
