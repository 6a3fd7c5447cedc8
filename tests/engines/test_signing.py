"""Our signatures are botocore's."""

from __future__ import annotations

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from bluestar_store.engines.dynamo.exchange import host_of
from bluestar_store.engines.dynamo.signing import Signing

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
URLS = st.sampled_from(
    [
        "https://dynamodb.eu-west-1.amazonaws.com",
        "https://dynamodb.eu-west-1.amazonaws.com:443/",
        "http://localhost:8000",
        "http://127.0.0.1:80/",
        "http://[::1]:8000/",
        "http://DynamoDB:8000",
        "https://example.com/some/path",
    ]
)


@given(
    key=st.from_regex(r"[A-Z0-9]{4,20}", fullmatch=True),
    secret=SECRETS,
    token=st.none() | SECRETS,
    url=URLS,
    region=st.sampled_from(["us-east-1", "eu-west-1", "us-gov-west-1"]),
    agent=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    body=st.binary(max_size=100),
)
def test_a_request_is_signed_as_botocore_signs_it(
    key: str, secret: str, token: str | None, url: str, region: str, agent: str, body: bytes
) -> None:
    credentials = Credentials(key, secret, token)
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.Query",
        "Content-Type": "application/x-amz-json-1.0",
        "User-Agent": agent,
    }
    theirs = AWSRequest("POST", url, dict(headers), body)
    SigV4Auth(credentials, "dynamodb", region).add_auth(theirs)
    path = theirs.prepare().url.partition("://")[2].partition("/")[2]
    signing = Signing(region, "dynamodb", host_of(url), f"/{path}")
    ours = signing.headers(credentials, headers, body, theirs.headers["X-Amz-Date"])
    assert ours == {name: theirs.headers[name] for name in ours}
    assert ("X-Amz-Security-Token" in ours) == (token is not None)
