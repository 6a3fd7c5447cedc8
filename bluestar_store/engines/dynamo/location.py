"""Where DynamoDB is, in words, as botocore would find it."""

from __future__ import annotations

from urllib.parse import urlsplit

import botocore.session
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError

AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")
"""What the names of AWS's own endpoints end with, those in a network of one's own, too."""


def host_is_of_aws(host: str) -> bool:
    """Whether the host is an endpoint of AWS's own."""
    return host.endswith(AWS_HOSTS)


def describe_location(region: str | None, endpoint_url: str | None) -> str:
    """Such as `DynamoDB in eu-west-1`, which is at its usual endpoint, or `DynamoDB at http://localhost:8000`.

    Without a URL, AWS's environment and configuration are asked for one; a region is looked up likewise.
    """
    try:
        session = botocore.session.get_session()
        region = region or session.get_config_variable("region")
        if endpoint_url is None and not session.get_config_variable("ignore_configured_endpoint_urls"):
            provider = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "dynamodb")
            endpoint_url = provider.provide()
    except (BotoCoreError, ValueError):  # told by the first call
        pass
    if endpoint_url is None:
        return f"DynamoDB in {region or 'AWS'}"
    try:
        parts = urlsplit(endpoint_url)
    except ValueError:  # told by the first call
        return "DynamoDB"
    host = (parts.hostname or "").lower()
    if host_is_of_aws(host) and (host.startswith(f"dynamodb.{region}.") or f".ddb.{region}." in host):
        return f"DynamoDB in {region}"
    return f"DynamoDB at {parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()}"
