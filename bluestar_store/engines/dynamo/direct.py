"""The first try of a call, past most of botocore: half of what a read costs is botocore walking the service's shapes.

A request is one JSON document, signed here and sent on connections of botocore's session; what comes back is parsed as
JSON. Whatever is not a plain answer (a failure, throttling, an error that may be retried) is left to botocore, which
asks again in its ordinary way; only what a condition refuses is told at once.

All that leans on botocore's private names is here. At the start one call is made both ways, without a network: when
they differ in what they would send or read, every call goes the ordinary way, after one warning.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from types import FunctionType
from typing import Any, Self
from zlib import crc32

import botocore.exceptions as aws
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse, HeadersDict
from botocore.client import BaseClient
from pydantic_core import from_json
from pynamodb.connection import Connection

from bluestar_store.engines.dynamo.exchange import Exchange, NotConnectedError, Response
from bluestar_store.engines.dynamo.signing import Signing
from bluestar_store.engines.item_json import to_json
from bluestar_store.forking import remember

LOG = logging.getLogger(__name__)
OPERATIONS = (
    "batch_get_item",
    "query",
    "scan",
    "batch_write_item",
    "transact_get_items",
    "transact_write_items",
)
"""What carries items, by botocore's method names."""
FINAL = ("ConditionalCheckFailedException", "TransactionCanceledException")
"""Errors that asking again would not change."""
CREDENTIALS = (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError, aws.SSOError)
UNDECIDED = ("TransactionInProgressException",)
"""Errors that say nothing of whether the transaction was or will be applied."""
EVENTS = (
    "provide-client-params",
    "before-parameter-build",
    "before-call",
    "request-created",
    "before-sign",
    "needs-retry",
    "after-call",
    "after-call-error",
)
"""botocore's events of a call that a first try of ours does not have; `before-send` it has."""
KNOWN_HANDLERS = ("botocore", "boto3", "pynamodb", "bluestar_store")
"""Whose handlers of them a first try does without."""
KEPT_HEADERS = ("accept-encoding", "content-type", "user-agent")
"""What botocore sends with every request alike, besides what the signer adds."""
PROBE: Mapping[str, Any] = {
    "RequestItems": {
        "bluestar-probe": {
            "Keys": [{"PK": {"S": "a"}, "SK": {"B": b"b\xff"}}, {"PK": {"N": "1"}}],
            "ConsistentRead": True,
        }
    }
}
PROBE_ANSWER = (
    b'{"Responses":{"bluestar-probe":[{"PK":{"S":"\\"B\\":\\u00e9"},"B":{"B":"/w=="},"BS":{"BS":["/w==","AA=="]},'
    b'"n":{"N":"12345678901234567890123456789012345678"},"ns":{"NS":["1","-2.5"]},"ss":{"SS":[""]},"no":{"NULL":true},'
    b'"yes":{"BOOL":false},"l":{"L":[{"S":""},{"M":{"B":{"B":"AA=="},"S":{"L":[]}}}]}}]},"UnprocessedKeys":{}}'
)
"""What both ways have to read alike: a value of every type, and names that could be taken for types."""


class _InProcess:
    """One at a time asks who answers in this process.

    moto breaks when a call changes its tables while another copies them for a transaction. Not held over a network.
    """

    def __init__(self) -> None:
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: the lock may be held by a thread of its parent's."""
        self.lock = threading.RLock()


_IN_PROCESS = _InProcess()


class DirectCalls:
    """One client's. Safe for threads."""

    def __init__(self, client: Any, url: str, headers: Mapping[str, str]) -> None:
        self._service = client.meta.service_model
        self._names = {operation: client.meta.method_to_api_mapping[operation] for operation in OPERATIONS}
        self._events, self._session = client.meta.events, client._endpoint.http_session
        self._credentials = client._request_signer._credentials
        self._exchange = Exchange(self._session, url)
        self._signing = Signing(
            client.meta.region_name, self._service.signing_name, self._exchange.host, self._exchange.path
        )
        self._target = f"{self._service.metadata['targetPrefix']}."
        self._url, self._headers = url, dict(headers)
        self._is_watched = False
        # Whoever replaces botocore's calls (tracing, tests) has to see every one.
        self._ordinary = BaseClient._make_api_call

    @classmethod
    def of(cls, client: Any) -> Self | None:
        """The direct way of a client; None, after a warning, when this botocore does not work as we know it.

        None, too, where requests go through a proxy, and where somebody has replaced botocore's calls. Raises what
        botocore raises for want of credentials.
        """
        if not _is_botocores(BaseClient._make_api_call):
            return None
        try:
            if _is_followed(client):
                return None
            proxies = client._endpoint.http_session._proxy_config
            return None if proxies.proxy_url_for(client.meta.endpoint_url) else cls._checked(client)
        except CREDENTIALS:  # an outage of whoever gives them must not slow down all that comes after it
            raise
        except Exception as error:  # whatever another botocore raises where ours does not
            warnings.warn(
                f"reads and writes take botocore's ordinary, slower way: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    @classmethod
    def _checked(cls, client: Any) -> Self:
        sent: list[AWSPreparedRequest] = []

        def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
            sent.append(request)
            return AWSResponse(request.url, 200, {"content-type": "application/x-amz-json-1.0"}, _Raw(PROBE_ANSWER))

        event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.BatchGetItem"
        client.meta.events.register_first(event, answer)
        try:
            expected = client.batch_get_item(**PROBE)
        finally:
            client.meta.events.unregister(event, answer)
        theirs = sent[0]
        kept = {name: _text(value) for name, value in theirs.headers.items() if name.lower() in KEPT_HEADERS}
        direct = cls(client, theirs.url, kept)
        del expected["ResponseMetadata"]
        if _parsed(PROBE_ANSWER) != expected:
            raise ValueError("it reads an answer otherwise")
        if json.loads(to_json(PROBE)) != json.loads(theirs.body):
            raise ValueError("it writes a request otherwise")
        if direct._target + "BatchGetItem" != _text(theirs.headers["X-Amz-Target"]):
            raise ValueError("it names an operation otherwise")
        direct._check_signing(theirs)
        # Whoever answers in the network's place, as moto does, is asked for every call. PynamoDB only adds headers.
        watching = [handler for handler, _ in client.meta.events.emit(event, request=theirs)]
        direct._is_watched = any(not isinstance(getattr(one, "__self__", None), Connection) for one in watching)
        return direct

    def _check_signing(self, theirs: AWSPreparedRequest) -> None:
        """ValueError when botocore's signer signs the same request otherwise."""
        credentials = self._credentials.get_frozen_credentials()
        headers = {**self._headers, "X-Amz-Target": _text(theirs.headers["X-Amz-Target"])}
        request = AWSRequest("POST", self._url, headers, theirs.body)
        SigV4Auth(credentials, self._service.signing_name, self._signing.region).add_auth(request)
        date = _text(request.headers["X-Amz-Date"])
        ours = self._signing.headers(credentials, headers, theirs.body, date)
        if {name: _text(request.headers[name]) for name in ours} != ours:
            raise ValueError("it signs otherwise")
        if _scope(request.headers) != _scope(theirs.headers):
            raise ValueError("it signs for another region or service")

    def call(self, operation: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bool]:
        """The answer, without botocore's metadata; or None when botocore is to ask.

        Besides, whether the try may have been carried out without our hearing of it. Raises ClientError for what a
        condition refused, as botocore does.
        """
        if operation not in self._names or BaseClient._make_api_call is not self._ordinary:
            return None, False
        in_doubt = False
        try:
            headers, body = self._request(operation, arguments)
            in_doubt = True
            response = (self._watched if self._is_watched else self._exchanged)(operation, headers, body)
            in_doubt = response.status >= 500
            if response.status == 200:
                in_doubt = True
                if _is_whole(response):
                    return _parsed(response.content), False
            elif response.status == 400 and _is_whole(response):
                in_doubt = self._refused(operation, response) in UNDECIDED
        except aws.ClientError:
            raise
        except NotConnectedError:
            in_doubt = False
        except Exception as error:  # whatever it is, botocore asks again, and has an error for it
            LOG.debug("%s goes botocore's way: %s", operation, type(error).__name__)
        return None, in_doubt

    def _request(self, operation: str, arguments: Mapping[str, Any]) -> tuple[Mapping[str, str], bytes]:
        body = to_json(arguments).encode()
        headers = {**self._headers, "X-Amz-Target": self._target + self._names[operation]}
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = self._signing.headers(self._credentials.get_frozen_credentials(), headers, body, date)
        return {**headers, **signed}, body

    def _exchanged(self, operation: str, headers: Mapping[str, str], body: bytes) -> Response:
        return self._exchange.post(headers, body)

    def _watched(self, operation: str, headers: Mapping[str, str], body: bytes) -> Response:
        request = AWSPreparedRequest("POST", self._url, HeadersDict(headers), body, False)
        event = f"before-send.{self._service.service_id.hyphenize()}.{self._names[operation]}"
        with _IN_PROCESS.lock:
            answers = [answer for _, answer in self._events.emit(event, request=request) if answer is not None]
        answer = answers[0] if answers else self._session.send(request)
        told = {name.lower(): _text(value) for name, value in answer.headers.items()}
        return Response(answer.status_code, told, answer.content)

    def _refused(self, operation: str, response: Response) -> str:
        """The code of an error; ClientError for one that asking again would not change."""
        told = _parsed(response.content)
        code = str(told.get("__type", "")).rpartition("#")[2]
        if code in FINAL:
            message = told.get("message") or told.get("Message") or ""
            metadata = {"HTTPStatusCode": response.status, "RequestId": response.headers.get("x-amzn-requestid", "")}
            answer: Any = {**told, "Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
            raise aws.ClientError(answer, self._names[operation])
        return code

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()


def _is_botocores(method: Any) -> bool:
    """Whether it is botocore's own function: wrappers show the names and the code of what they wrap as theirs."""
    return type(method) is FunctionType and method.__globals__["__name__"].partition(".")[0] == "botocore"


def _is_followed(client: Any) -> bool:
    """Whether botocore tells somebody, such as a tracer, of its calls: only of its own it can."""
    service = client.meta.service_model.service_id.hyphenize()
    return any(
        str(getattr(getattr(handler, "func", handler), "__module__", "")).partition(".")[0] not in KNOWN_HANDLERS
        for event in EVENTS
        for handler in client.meta.events._emitter._handlers.prefix_search(f"{event}.{service}.GetItem")
    )


def _is_whole(response: Response) -> bool:
    """Whether the body is what DynamoDB sent, and is DynamoDB's."""
    checksum = response.headers.get("x-amz-crc32")
    return "json" in response.headers.get("content-type", "json") and (
        checksum is None or crc32(response.content) == int(checksum)
    )


def _parsed(content: bytes) -> dict[str, Any]:
    answer = from_json(content)
    if not isinstance(answer, dict):
        raise ValueError("is no object")
    return _with_bytes(answer) if b'"B":' in content or b'"BS":' in content else answer


def _with_bytes(value: Any) -> Any:
    """The same with binary values, which are base64 in JSON, as bytes."""
    match value:
        case {"B": str(text), **rest} if not rest:
            return {"B": base64.b64decode(text)}
        case {"BS": [*texts], **rest} if not rest:
            return {"BS": [base64.b64decode(text) for text in texts]}
        case dict():
            return {name: _with_bytes(inner) for name, inner in value.items()}
        case list():
            return [_with_bytes(inner) for inner in value]
    return value


def _scope(headers: Mapping[str, Any]) -> str:
    """What a signature is for: algorithm, key, day, region and service."""
    return _text(headers["Authorization"]).partition(",")[0]


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


class _Raw(BytesIO):
    """A body, as botocore reads one off the network."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()
