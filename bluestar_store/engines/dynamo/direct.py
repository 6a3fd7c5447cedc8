"""The first try of a call, past most of botocore: for a read of one item 55 us of CPU, not 825 (measured).

A request is one JSON document, signed here and sent on connections of botocore's session; what comes back is parsed as
JSON. Whatever is not a plain answer (a failure, throttling, an error) is handed to botocore as what its own first try
brought: it has the retries, their pauses, their number and their quota, and the errors. So there is never one request
more than botocore would send.

All that leans on botocore's private names is here and in `interception.py`. At the start one call is made both ways,
without a network: when they differ in what they would send or read, every call goes the ordinary way, after one
warning. Somebody who watches botocore's calls is heard: see `interception.py`.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from types import MethodType
from typing import Any, NamedTuple, Self
from zlib import crc32

import botocore.exceptions as aws
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.handlers import add_recursion_detection_header
from pydantic_core import from_json

from bluestar_store.engines.dynamo.exchange import Exchange, Response
from bluestar_store.engines.dynamo.interception import Interception
from bluestar_store.engines.dynamo.signing import Signing
from bluestar_store.engines.item_json import to_json

LOG = logging.getLogger(__name__)
ANSWERS = {
    "batch_get_item": "Responses",
    "query": "Items",
    "scan": "Items",
    "batch_write_item": "UnprocessedItems",
    "transact_get_items": "Responses",
    "transact_write_items": None,
}
"""What carries items, by botocore's method names, and what an answer always has."""
RETRY_QUOTA = 500
"""What botocore's quota of retries starts with."""
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


class UnreadableAnswerError(aws.ConnectionClosedError):  # type: ignore[misc]  # botocore has no types
    """An answer that is none of DynamoDB's, or is damaged: to botocore a lost one, after which it tries again."""

    fmt = "An answer of {endpoint_url} cannot be read"


class Unanswered(Exception):  # the way on, no error
    """A first try brought no plain answer; `outcome` is what botocore's own first try would have brought instead."""

    def __init__(self, outcome: AWSResponse | aws.BotoCoreError) -> None:
        super().__init__()
        self.outcome = outcome


class Request(NamedTuple):
    """What is to be sent, signed."""

    operation: str
    headers: Mapping[str, str]
    body: bytes


class DirectCalls:
    """One client's. Safe for threads."""

    def __init__(self, client: Any, url: str, headers: Mapping[str, str], interception: Interception) -> None:
        self._service = client.meta.service_model
        self._names = {operation: client.meta.method_to_api_mapping[operation] for operation in ANSWERS}
        self._credentials = client._request_signer._credentials
        self._exchange = Exchange(client._endpoint.http_session, url)
        self._signing = Signing(
            client.meta.region_name, self._service.signing_name, self._exchange.host, self._exchange.path
        )
        self._target = f"{self._service.metadata['targetPrefix']}."
        self._url, self._headers = url, dict(headers)
        self._interception = interception
        self._give_back = _quota_keepers(client.meta.events._emitter)
        self._owed = 0
        self._is_in_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ

    @classmethod
    def of(cls, client: Any, connection: Any) -> Self | None:
        """The direct way of a client that PynamoDB's `connection` made.

        None, after a warning, when this botocore does not work as we know it. None, too, where requests go through a
        proxy, and where somebody stands in between from the start. Raises what botocore raises for its configuration.
        """
        try:
            if client._endpoint.http_session._proxy_config.proxy_url_for(client.meta.endpoint_url):
                return None
            interception = Interception(client, connection, ANSWERS)
            is_paced = client.meta.config.retries.get("mode") == "adaptive"  # also before the first try
            return None if is_paced or _is_found(interception) else cls._checked(client, interception)
        except aws.BotoCoreError:  # such as of credentials: an outage must not slow down all that comes after it
            raise
        except Exception as error:  # whatever another botocore raises where ours does not
            warnings.warn(
                f"reads and writes take botocore's ordinary, slower way: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    @classmethod
    def _checked(cls, client: Any, interception: Interception) -> Self:
        sent: list[AWSPreparedRequest] = []
        found: list[str] = []

        def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
            sent.append(request)
            found.append(interception.found())
            return _response(request.url, Response(200, {"content-type": "application/x-amz-json-1.0"}, PROBE_ANSWER))

        event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.BatchGetItem"
        client.meta.events.register_first(event, answer)
        try:
            expected = client.batch_get_item(**PROBE)
        finally:
            client.meta.events.unregister(event, answer)
        theirs = sent[0]
        kept = {name: _text(value) for name, value in theirs.headers.items() if name.lower() in KEPT_HEADERS}
        direct = cls(client, theirs.url, kept, interception)
        del expected["ResponseMetadata"]
        if _parsed(PROBE_ANSWER) != expected:
            raise ValueError("it reads an answer otherwise")
        if json.loads(to_json(PROBE)) != json.loads(theirs.body):
            raise ValueError("it writes a request otherwise")
        if direct._target + "BatchGetItem" != _text(theirs.headers["X-Amz-Target"]):
            raise ValueError("it names an operation otherwise")
        direct._check_signing(theirs)
        if not all(found) or interception.found():
            raise ValueError("it does not tell of new handlers")
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

    def request(self, operation: str, arguments: Mapping[str, Any], credentials: Any) -> Request | None:
        """A request of the operation, signed by frozen credentials; None when botocore has to make the call.

        That is for operations that carry no items, for arguments that botocore has an error for, and while somebody
        watches botocore's calls.
        """
        name = self._names.get(operation)
        if name is None or _is_found(self._interception):
            return None
        try:
            body = to_json(arguments).encode()
        except (TypeError, ValueError):
            return None
        headers = {**self._headers, "X-Amz-Target": self._target + name}
        if self._is_in_lambda:
            add_recursion_detection_header({"headers": headers})
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return Request(operation, {**headers, **self._signing.headers(credentials, headers, body, date)}, body)

    def send(self, request: Request) -> dict[str, Any]:
        """The answer, without botocore's metadata. Raises Unanswered."""
        try:
            response = self._exchange.post(request.headers, request.body)
            if response.status != 200:
                raise Unanswered(_response(self._url, response))
            answer = _answer(request.operation, response)
        except aws.BotoCoreError as error:
            self._owed = RETRY_QUOTA
            raise Unanswered(error) from None
        except ValueError as error:
            self._owed = RETRY_QUOTA
            raise Unanswered(UnreadableAnswerError(endpoint_url=self._url, error=error)) from None
        except Unanswered:
            self._owed = RETRY_QUOTA
            raise
        if self._owed > 0:  # a call that succeeds gives one back, until there is as much as at the start
            self._owed -= 1
            for give_back in self._give_back:
                give_back(context={}, http_response=SUCCESS)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()


def _is_found(interception: Interception) -> bool:
    found = interception.found()
    if found:
        LOG.debug("botocore makes this call: %s is not its own", found)
    return bool(found)


def _quota_keepers(emitter: Any) -> list[Callable[..., None]]:
    """botocore's handlers of a call that succeeded, which give back to the quota of retries."""
    handlers = emitter._handlers.prefix_search("after-call.dynamodb.BatchGetItem")
    return [one for one in handlers if type(one) is MethodType and one.__func__.__name__ == "release_retry_quota"]


def _response(url: str, response: Response) -> AWSResponse:
    """As botocore's session gives it."""
    return AWSResponse(url, response.status, response.headers, RawBody(response.content))


def _answer(operation: str, response: Response) -> dict[str, Any]:
    """Raises ValueError for what is damaged, or is none of DynamoDB's answers."""
    checksum = response.headers.get("x-amz-crc32")
    if checksum is not None and crc32(response.content) != int(checksum):
        raise ValueError("it is damaged")
    answer = _parsed(response.content)
    name = ANSWERS[operation]
    if name is not None and (name not in answer or (checksum is None and not _holds_items(answer[name]))):
        raise ValueError("it lacks what it should have")
    return answer


def _holds_items(found: Any) -> bool:
    """Whether it is items, or lists of them by table."""
    lists = found.values() if isinstance(found, dict) else (found,)
    return all(isinstance(items, list) and all(isinstance(item, dict) for item in items) for items in lists)


def _parsed(content: bytes) -> dict[str, Any]:
    has_binary = b'"B":' in content or b'"BS":' in content
    try:
        answer = json.loads(content, object_hook=_with_bytes) if has_binary else from_json(content)
    except ValueError:  # of half a surrogate pair, which botocore takes
        answer = json.loads(content, object_hook=_with_bytes)
    if not isinstance(answer, dict):
        raise ValueError("is no object")
    return answer


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """An object of JSON; a binary value, which is base64 in JSON, with bytes."""
    match value:
        case {"B": str(text), **rest} if not rest:
            return {"B": base64.b64decode(text)}
        case {"BS": [*texts], **rest} if not rest:
            return {"BS": [base64.b64decode(text) for text in texts]}
    return value


def _scope(headers: Mapping[str, Any]) -> str:
    """What a signature is for, besides key and day: region and service."""
    return _text(headers["Authorization"]).partition(",")[0].split("/", 2)[2]


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


class RawBody(BytesIO):
    """A body, as botocore reads one off the network."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


SUCCESS = AWSResponse("", 200, {}, RawBody())
