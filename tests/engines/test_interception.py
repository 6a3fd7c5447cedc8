"""Whoever stands between a call and the network, a tracer or a test, sees every call; without one calls are direct."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any
from unittest.mock import patch

import botocore.client
import botocore.endpoint
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSPreparedRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import Endpoint
from botocore.hooks import EventAliaser
from botocore.httpsession import URLLib3Session
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse

from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.interception import LOOK_SECONDS, package_of
from tests.engines.conftest import connection_to
from tests.engines.players import FOUND, KEY, TABLE, Player, playing
from tests.engines.players import found as read

PACKAGES = ("botocore", "urllib3", "http")
COMPUTING = (
    "botocore.compat",
    "botocore.compress",
    "botocore.config",
    "botocore.context",
    "botocore.credentials",
    "botocore.handlers",
    "botocore.httpchecksum",
    "botocore.model",
    "botocore.retries",
    "botocore.retryhandler",
    "botocore.useragent",
    "botocore.utils",
    "urllib3._collections",
    "urllib3.util",
)
"""Modules whose functions compute on pieces of a request, or decide on a response; handlers are watched as such."""
PIECES = (
    "EndpointRulesetResolver",
    "RuleSetEndpoint",
    "HeadersDict",
    "_HeaderKey",
    "_PrefixTrie",
    "ClientMeta",
    "BytesQueueBuffer",
)
"""Classes that do within the others."""
PARTS_OF_OTHERS = {
    "_serialize_type_structure",
    "_serialize_type_map",
    "_serialize_type_list",
    "_default_serialize",
    "_create_default_request",
    "_handle_query_compatible_trait",
    "_expand_host_prefix",
    "_normalize_url_path",
    "canonical_query_string",
    "_canonical_query_string_url",
    "_header_value",
    "_is_streaming_checksum_payload",
    "_should_sha256_sign_payload",
    "_host_from_url",
    "_wrap_ipv6",  # of newer Pythons' http.client
    "_urljoin",
    "_determine_content_length",
    "_path_url",
    "_get_request_timeout",
    "_chunked",
    "ensure_boolean",
    "_merge_pool_kwargs",
    "_new_pool",
    "_default_key_normalizer",
    "_get_timeout",
    "_normalize_host",
    "_convert_to_bytes",
    "_validate_method",
    "_validate_path",
    "_validate_host",
    "_get_hostport",
    "_check_close",
    "isclosed",
    "close",
    "flush",
    "_read_headers",
    "_normalize_header_values",
    "_normalize_header_value",
    "_init_length",
    "_error_catcher",
    "get_redirect_location",
    "_init_decoder",
    "_has_unknown_tagged_union_member",
    "_add_checksum_response_metadata",
    "_parse_shape",
    "body",
    "_service_model",
    "host",
    "is_closed",
    "closed",
}
"""Functions that are a step of one that is watched, on a piece of what that has whole."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """The attribute is another one, as somebody sets it who does not ask; looked at again after a moment."""
    with patch.object(owner, name, value):
        time.sleep(LOOK_SECONDS)
        yield
    time.sleep(LOOK_SECONDS)


def counting(function: Any, seen: list[str]) -> Any:
    if type(function) is property:
        assert function.fget is not None
        return property(counting(function.fget, seen))

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        seen.append(function.__name__)
        return function(*args, **kwargs)

    return wrapper


def plain_client(url: str) -> Any:
    config = Config(parameter_validation=False)  # as PynamoDB's
    session = botocore.session.get_session()
    return session.create_client("dynamodb", region_name="us-east-1", endpoint_url=url, config=config)


def ask_plainly(client: Any) -> None:
    client.batch_get_item(RequestItems={TABLE: {"Keys": [KEY]}})


def passed_by(call: Callable[[], None]) -> Iterator[tuple[Any, str]]:
    """Every function of the packages that the call passes, by each class and module where it is looked up."""
    codes = set()

    def note(frame: Any, event: str, _: object) -> None:
        if event == "call" and str(frame.f_globals.get("__name__")).partition(".")[0] in PACKAGES:
            codes.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    for path, module in sorted(sys.modules.items()):
        if path.partition(".")[0] in PACKAGES and module is not None:
            owners = [module, *(one for one in vars(module).values() if isinstance(one, type))]
            for owner in owners:
                if owner is module or owner.__module__ == path:
                    yield from ((owner, name) for name, one in vars(owner).items() if _is_of(one, codes))


def _is_of(function: Any, codes: set[Any]) -> bool:
    function = function.fget if type(function) is property else function
    return type(function) is FunctionType and getattr(function, "__wrapped__", function).__code__ in codes


def is_step(owner: Any, name: str) -> bool:
    found = vars(owner)[name]
    function: Any = found.fget if type(found) is property else found
    module = getattr(function, "__wrapped__", function).__globals__["__name__"]
    return (
        module.startswith(COMPUTING)
        or module in ("botocore", "http")
        or getattr(owner, "__name__", "") in PIECES
        or name in PARTS_OF_OTHERS
    )


def test_a_wrapper_of_any_function_that_botocore_passes_sees_every_call() -> None:
    with playing((200, FOUND, {})) as player:
        client = plain_client(player.url)
        ask_plainly(client)
        functions = [one for one in passed_by(lambda: ask_plainly(client)) if not is_step(*one)]
        assert len(functions) > 80
        unheard = []
        for owner, name in functions:
            seen: list[str] = []
            with replaced(owner, name, counting(vars(owner)[name], seen)):
                ask_plainly(client)
                by_botocore = len(seen)
                read(player.engine)
                if by_botocore and len(seen) == by_botocore:
                    unheard.append(f"{owner.__name__}.{name}")
        assert unheard == []
        player.requests.clear()
        assert read(player.engine) == [KEY]
        assert player.ways == ["direct"]


class Proxy:
    """A wrapper as tracing tools make them: it shows the attributes of what it wraps as its own, and equals it."""

    def __init__(self, wrapped: Any, seen: list[str]) -> None:
        self._wrapped, self._seen = wrapped, seen

    def __get__(self, one: object, owner: type) -> Proxy:
        return Proxy(self._wrapped.__get__(one, owner), self._seen)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._wrapped == other)

    def __hash__(self) -> int:
        return hash(self._wrapped)

    @property  # type: ignore[misc]  # as wrapt does
    def __class__(self) -> Any:
        return self._wrapped.__class__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._seen.append("call")
        return self._wrapped(*args, **kwargs)


INNER = [
    (AWSPreparedRequest, "__init__"),
    (HTTPResponse, "stream"),
    (SigV4Auth, "signature"),
    (EventAliaser, "emit"),
    (botocore.client, "prepare_request_dict"),
    (botocore.endpoint, "convert_to_response_dict"),
]


@pytest.mark.parametrize(("owner", "name"), INNER, ids=[name for _, name in INNER])
def test_a_wrapper_of_an_inner_function_sees_each_of_five_calls_at_once(owner: Any, name: str) -> None:
    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        with patch.object(owner, name, counting(vars(owner)[name], [])):  # without a pause
            for _ in range(5):
                assert read(player.engine) == [KEY]
        assert player.ways == ["direct", *["botocore"] * 5]


OUTER = [
    (BaseClient, "_make_api_call"),
    (Endpoint, "make_request"),
    (URLLib3Session, "send"),
    (HTTPConnectionPool, "urlopen"),
]


@pytest.mark.parametrize(("owner", "name"), OUTER, ids=[name for _, name in OUTER])
def test_a_proxy_that_passes_for_the_function_itself_sees_every_call(owner: type, name: str) -> None:
    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        seen: list[str] = []
        with patch.object(owner, name, Proxy(vars(owner)[name], seen)):  # without a pause: at the next call
            for _ in range(5):
                assert read(player.engine) == [KEY]
            another = DynamoEngine(connection_to(player.url), indexes=())
            assert read(another) == [KEY]  # made while it is there
            another.close()
        assert len(seen) == 6
        assert read(player.engine) == [KEY]
        assert player.ways == ["direct", *["botocore"] * 6, "direct"]


def test_what_makes_the_methods_of_clients_may_wrap_them() -> None:
    seen: list[str] = []
    create = botocore.client.ClientCreator._create_api_method

    def wrapping(self: Any, *names: Any) -> Any:
        return counting(create(self, *names), seen)

    with (
        patch.object(botocore.client.ClientCreator, "_create_api_method", wrapping),
        playing((200, FOUND, {})) as player,
    ):
        assert read(player.engine) == [KEY]
    assert seen == ["batch_get_item"]


def _endpoint(player: Player) -> Any:
    return player.engine.connection._made().client._endpoint


def _session(player: Player) -> Any:
    return _endpoint(player).http_session


OBJECTS: dict[str, Callable[[Player], tuple[Any, str]]] = {
    "the client": lambda player: (player.engine.connection._made().client, "batch_get_item"),
    "its inner way": lambda player: (player.engine.connection._made().client, "_make_api_call"),
    "the endpoint": lambda player: (_endpoint(player), "make_request"),
    "the session": lambda player: (_session(player), "send"),
    "the class of the client": lambda player: (type(player.engine.connection._made().client), "_make_api_call"),
    "the pools": lambda player: (_session(player)._manager, "connection_from_url"),
    "the pool": lambda player: (_session(player)._manager.connection_from_url(player.url), "urlopen"),
    "what makes the parsers": lambda player: (_endpoint(player)._response_parser_factory, "create_parser"),
    "a subclass": lambda _: (AWSHTTPConnection, "getresponse"),
    "a pool": lambda _: (AWSHTTPConnectionPool, "urlopen"),
}


@pytest.mark.parametrize("which", OBJECTS)
def test_a_function_that_is_set_on_one_object_or_subclass_sees_the_calls(which: str) -> None:
    with playing((200, FOUND, {})) as player:
        seen: list[str] = []
        owner, name = OBJECTS[which](player)
        with replaced(owner, name, counting(getattr(owner, name), seen)):
            assert read(player.engine) == [KEY]
            assert len(seen) == 1
        assert read(player.engine) == [KEY]
        assert player.ways == ["botocore", "direct"]


@pytest.mark.parametrize("part", [_endpoint, _session], ids=["the endpoint", "the session"])
def test_an_object_that_is_made_one_of_a_subclass_sees_the_next_call(part: Callable[[Player], Any]) -> None:
    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        found, seen = part(player), list[str]()
        known = type(found)
        name = "make_request" if known is Endpoint else "send"
        found.__class__ = type("Traced", (known,), {name: counting(getattr(known, name), seen)})
        assert read(player.engine) == [KEY]
        found.__class__ = known
        assert read(player.engine) == [KEY]
        assert seen == [name]
        assert player.ways == ["direct", "botocore", "direct"]


def test_another_connection_class_as_recorders_set_it_is_used() -> None:
    seen: list[str] = []

    class Recording(AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
        def getresponse(self) -> Any:
            seen.append("heard")
            return super().getresponse()

    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        with patch.object(AWSHTTPConnectionPool, "ConnectionCls", Recording):
            assert read(player.engine) == [KEY]
        assert seen == ["heard"]
        assert player.ways == ["direct", "botocore"]


def test_a_wrapper_is_never_taken_for_the_function_that_it_shows_the_names_of() -> None:
    for owner, name in OUTER:
        function = vars(owner)[name]
        assert package_of(function) in PACKAGES
        assert package_of(counting(function, [])) not in PACKAGES
        assert package_of(Proxy(function, [])) not in PACKAGES
        assert package_of(functools.partial(counting(function, []))) not in PACKAGES
