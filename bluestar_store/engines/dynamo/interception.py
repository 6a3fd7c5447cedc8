"""Detects code that intercepts calls between botocore and the network: a tracer, a stub, a recorder, a test.

Such code replaces functions of botocore, urllib3 or http.client, sets attributes on the parts of one client, or
registers event handlers. The direct way calls none of these, so it is taken only while there are none: each function
that a call, its request or its response passes is the object that was there at import, and was one of those packages'
own then; the client and its parts have the classes, functions and handlers that they were made with, and botocore's
history is not recorded. This is checked for each call, in 2.5 us, and more closely in 4 more (measured; a whole read of
one item takes 55 us of CPU), unless another call did that within a tenth of a millisecond: no call is answered so soon.

Functions that only compute a piece of a request, such as a URL, a header or a time-out, are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from operator import is_
from time import monotonic
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from botocore.history import HISTORY_RECORDER

OWNERS = frozenset({"botocore", "urllib3", "http"})
"""The packages whose functions a call passes."""
HANDLERS = frozenset({"botocore", "boto3", "pynamodb", "bluestar_store"})
"""The packages whose handlers of events the direct way does without, or has a way of its own for."""
AT_EACH_CALL: Mapping[str, str] = {
    "botocore.client.BaseClient": "_make_api_call _emit_api_params _convert_to_request_dict _make_request",
    "botocore.hooks.HierarchicalEmitter": "emit _emit",
    "botocore.serialize.JSONSerializer": "serialize_to_request",
    "botocore.endpoint.Endpoint": "make_request _send_request create_request prepare_request _get_response "
    "_do_get_response _send",
    "botocore.signers.RequestSigner": "handler sign",
    "botocore.auth.SigV4Auth": "add_auth",
    "botocore.httpsession.URLLib3Session": "send",
    "botocore.awsrequest.AWSHTTPConnectionPool": "ConnectionCls",
    "botocore.awsrequest.AWSHTTPSConnectionPool": "ConnectionCls",
    "urllib3.poolmanager.PoolManager": "connection_from_url",
    "urllib3.connectionpool.HTTPConnectionPool": "urlopen _make_request _get_conn",
    "botocore.awsrequest.AWSConnection": "request send",
    "urllib3.connection.HTTPConnection": "request putrequest getresponse",
    "http.client.HTTPConnection": "request putrequest endheaders send getresponse",
    "http.client.HTTPResponse": "begin read",
    "botocore.parsers.ResponseParser": "parse",
}
"""The functions that a whole call, request or response passes, by the class or module that defines them."""
CONNECTION = "__init__ connect _new_conn _send_output putheader"
OFTEN: Mapping[str, str] = {
    "botocore.client": "prepare_request_dict maybe_compress_request apply_request_checksum resolve_checksum_context "
    "first_non_none_response",
    "botocore.client.BaseClient": "_resolve_endpoint_ruleset",
    "botocore.hooks.EventAliaser": "emit emit_until_response _alias_event_name",
    "botocore.hooks.HierarchicalEmitter": "emit_until_response",
    "botocore.regions.EndpointRulesetResolver": "construct_endpoint",
    "botocore.endpoint_provider.EndpointProvider": "resolve_endpoint",
    "botocore.history.HistoryRecorder": "record",
    "botocore.serialize.JSONSerializer": "_serialize",
    "botocore.endpoint": "create_request_object convert_to_response_dict first_non_none_response handle_checksum_body",
    "botocore.endpoint.Endpoint": "_update_retries_context _encode_headers _needs_retry",
    "botocore.signers.RequestSigner": "_choose_signer get_auth_instance",
    "botocore.auth.SigV4Auth": "__init__ _modify_request_before_signing _set_necessary_date_headers canonical_request "
    "headers_to_sign canonical_headers signed_headers payload string_to_sign scope credential_scope signature _sign "
    "_inject_signature_to_request",
    "botocore.awsrequest.AWSRequest": "__init__ prepare",
    "botocore.awsrequest.AWSRequestPreparer": "prepare _prepare_url _prepare_headers _prepare_body",
    "botocore.awsrequest.AWSPreparedRequest": "__init__",
    "botocore.awsrequest.AWSResponse": "__init__ content",
    "botocore.httpsession.URLLib3Session": "_get_connection_manager _setup_ssl_cert _get_request_target",
    "botocore.httpsession.ProxyConfiguration": "proxy_url_for",
    "urllib3.poolmanager.PoolManager": "connection_from_host connection_from_context connection_from_pool_key",
    "urllib3.connectionpool.HTTPConnectionPool": "_new_conn _put_conn _validate_conn",
    "urllib3.connectionpool.HTTPSConnectionPool": "_new_conn _validate_conn",
    "botocore.awsrequest.AWSConnection": CONNECTION,
    "urllib3.connection.HTTPConnection": CONNECTION,
    "urllib3.connection.HTTPSConnection": CONNECTION,
    "http.client.HTTPConnection": f"{CONNECTION} _output _encode_request",
    "http.client.HTTPResponse": "__init__ _read_status _close_conn",
    "http.client": "parse_headers",
    "urllib3.response.HTTPResponse": "__init__ stream read _raw_read _fp_read release_conn",
    "urllib3.response.BaseHTTPResponse": "__init__",
    "botocore.parsers.ResponseParserFactory": "create_parser",
    "botocore.parsers.ResponseParser": "__init__ _parse_shape _handle_list _default_handle",
    "botocore.parsers.BaseJSONParser": "_parse_body_as_json _handle_structure _handle_map _inject_response_metadata",
    "botocore.parsers.JSONParser": "_do_parse _handle_json_body",
    "botocore.retries.standard.RetryHandler": "needs_retry",
    "botocore.retries.standard.RetryPolicy": "should_retry",
    "botocore.retries.standard.StandardRetryConditions": "is_retryable",
    "botocore.retries.standard.RetryQuotaChecker": "release_retry_quota",
}
"""The functions within those, looked at again for a call that begins `LOOK_SECONDS` after the last look, or later."""
LOOK_SECONDS = 0.0001
SUBCLASSES = (
    "botocore.awsrequest.AWSHTTPConnection",
    "botocore.awsrequest.AWSHTTPSConnection",
    "botocore.awsrequest.AWSHTTPConnectionPool",
    "botocore.awsrequest.AWSHTTPSConnectionPool",
    "urllib3.connectionpool.HTTPSConnectionPool",
    "urllib3.connection.HTTPSConnection",
    "botocore.serialize.JSONSerializer",
    "botocore.parsers.JSONParser",
)
"""Classes that inherit of those functions, and on which somebody may set one of the same name."""
PARTS = ("_endpoint", "_serializer", "_request_signer", "_ruleset_resolver", "meta")
"""Attributes of a client that hold the parts which a call passes."""


class Watched(NamedTuple):
    """`place[name]` is `known`."""

    place: Mapping[str, Any]
    name: str
    known: Any


def _of(path: str) -> Any:
    """The module or class of that name."""
    try:
        return import_module(path)
    except ImportError:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name, None)


def _functions(functions: Mapping[str, str]) -> Iterator[Watched]:
    for path, names in functions.items():
        place = vars(owner) if (owner := _of(path)) is not None else {}
        yield from (Watched(place, name, place[name]) for name in names.split() if name in place)


OUTER, INNER = tuple(_functions(AT_EACH_CALL)), tuple(_functions(OFTEN))
NAMES = frozenset(one.name for one in (*OUTER, *INNER))


INHERITING = tuple(vars(owner) for owner in map(_of, SUBCLASSES) if owner is not None)


INSIDE: Mapping[type, str] = {partial: "func", MethodType: "__func__", property: "fget"}
"""Where an object has the function that it calls."""


def package_of(function: Any) -> str:
    """The package that the code of a function, or else the class of an object, is of. Wrappers show others' names."""
    while type(function) in INSIDE:
        function = getattr(function, INSIDE[type(function)])
    if type(function) is FunctionType:
        wrapped = vars(function).get("__wrapped__")
        if wrapped is not None and package_of(wrapped) not in OWNERS:
            return ""
        name = str(function.__globals__["__name__"])
        return "" if name == "botocore.stub" else name.partition(".")[0]
    return str((function if type(function) is type else type(function)).__module__).partition(".")[0]


FOREIGN = tuple(one.name for one in (*OUTER, *INNER) if package_of(one.known) not in OWNERS)
"""What had been replaced at import already."""


class Interception:
    """Of the calls of one client. Safe for threads.

    Raises AttributeError or LookupError for a botocore that is made otherwise. `connection` is PynamoDB's, whose extra
    headers a handler of its own adds.
    """

    def __init__(self, client: Any, connection: Any, operations: Iterable[str]) -> None:
        made, inside, endpoint = vars(type(client)), vars(client), client._endpoint
        events, session, parsers = client.meta.events, endpoint.http_session, endpoint._response_parser_factory
        manager = session._manager
        pool = manager.connection_from_url(client.meta.endpoint_url)
        self._emitter = events._emitter
        self._handlers, self._cache = _handlers(self._emitter), self._emitter._lookup_cache
        outer = [
            *OUTER,
            Watched(inside, "_endpoint", endpoint),
            Watched(vars(endpoint), "http_session", session),
            Watched(vars(connection), "_extra_headers", None),
            Watched(vars(HISTORY_RECORDER), "_enabled", False),
        ]
        inner = [
            *(Watched(made, name, made[name]) for name in operations),
            *INNER,
            *(Watched(inside, name, inside[name]) for name in PARTS),
            Watched(vars(client.meta), "events", events),
            Watched(vars(endpoint), "_event_emitter", events),
            Watched(vars(endpoint), "_response_parser_factory", parsers),
            Watched(vars(session), "_manager", manager),
            Watched(vars(manager), "pool_classes_by_scheme", manager.pool_classes_by_scheme),
            *(Watched(manager.pool_classes_by_scheme, *one) for one in manager.pool_classes_by_scheme.items()),
            Watched(vars(events), "_emitter", self._emitter),
        ]
        # Plain tuples: these are gone through at each call.
        self._outer: tuple[tuple[Mapping[str, Any], str, Any], ...] = tuple((*one,) for one in outer)
        self._inner: tuple[tuple[Mapping[str, Any], str, Any], ...] = tuple((*one,) for one in inner)
        self._looked = 0.0
        self._objects = (client, session, events, self._emitter, parsers, manager, pool, *map(inside.get, PARTS))
        self._classes = [*map(type, self._objects)]
        self._names = frozenset({*NAMES, *operations})
        self._spaces = (made, *map(vars, self._objects), *INHERITING)
        self._sizes = [*map(len, self._spaces)]
        self._own = [self._names & space.keys() for space in self._spaces]
        standing = [
            *FOREIGN,
            *(name for name in operations if package_of(made[name]) not in OWNERS),
            *("a handler of an event" for one in self._handlers if package_of(one) not in HANDLERS),
        ]
        self._standing = standing[0] if standing else ""

    def found(self) -> str:
        """What a call would pass that is not botocore's, urllib3's, http.client's or PynamoDB's own; "" for nothing."""
        try:
            for place, name, known in self._outer:
                if place[name] is not known:
                    return name
            if self._emitter._lookup_cache is not self._cache:
                return self._handler_found()
            if [*map(type, self._objects)] != self._classes:
                return "the class of a part"
            if [*map(len, self._spaces)] != self._sizes and self._method_found():
                return "a method of its own"
            if not 0 <= monotonic() - self._looked < LOOK_SECONDS:
                return self._inner_found()
        except KeyError:
            return name
        return self._standing

    def _handler_found(self) -> str:
        """The cache of handlers is another one after each change of them."""
        cache, handlers = self._emitter._lookup_cache, _handlers(self._emitter)
        if len(handlers) != len(self._handlers) or not all(map(is_, handlers, self._handlers)):
            return "a handler of an event"
        self._cache = cache
        return self._inner_found()

    def _method_found(self) -> bool:
        sizes = [*map(len, self._spaces)]
        if [self._names & one.keys() for one in self._spaces] != self._own:
            return True
        self._sizes = sizes
        return False

    def _inner_found(self) -> str:
        now = monotonic()
        try:
            for place, name, known in self._inner:
                if place[name] is not known:
                    return name
        except KeyError:
            return name
        self._looked = now
        return self._standing


def _handlers(emitter: Any) -> list[Any]:
    """The handlers of all events, in one order."""
    found, nodes = [], [emitter._handlers._root]
    while nodes:
        node = nodes.pop()
        found += [handler for section in node["values"] or () for handler in section]
        nodes += node["children"].values()
    return found
