"""Number and mode of retries from AWS's own variables and configuration file, unless a setting gives them."""

from __future__ import annotations

import os
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError

from bluestar_store.errors import ConfigurationError
from bluestar_store.settings import Settings


def with_aws_retries(settings: Settings) -> Settings:
    """The settings, with AWS_MAX_ATTEMPTS, or `max_attempts` of the profile, where they do not set `max_attempts`.

    Raises ConfigurationError for what is no number from 1.
    """
    if "max_attempts" in settings.model_fields_set:
        return settings
    try:
        wanted = botocore.session.get_session().get_config_variable("max_attempts")
    except BotoCoreError:  # such as of a profile that is not there: told by the first call
        return settings
    except ValueError as error:
        raise ConfigurationError(f"AWS_MAX_ATTEMPTS, or max_attempts of the AWS profile: {error}") from None
    if wanted is None:
        return settings
    if wanted < 1:
        raise ConfigurationError(
            f"AWS_MAX_ATTEMPTS, or max_attempts of the AWS profile, is {wanted}: it has to be 1 or more"
        )
    return settings.model_copy(update={"max_attempts": wanted})


def retry_mode(session: Any) -> str:
    """AWS_RETRY_MODE, or `retry_mode` of the profile; else `standard`, whatever botocore's own default is."""
    return str(os.environ.get("AWS_RETRY_MODE") or session.get_scoped_config().get("retry_mode") or "standard").lower()
