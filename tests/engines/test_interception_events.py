"""Whoever watches botocore by its events, its history or its stubber hears every call; extra headers are sent."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import botocore.handlers
import pytest
from botocore.history import BaseHistoryHandler, get_global_history_recorder
from botocore.stub import Stubber
from pynamodb.connection import Connection

from tests.engines.players import FOUND, KEY, TABLE, playing
from tests.engines.players import found as read


def test_what_is_written_into_botocores_history_is_all_calls() -> None:
    heard: list[str] = []

    class Handler(BaseHistoryHandler):  # type: ignore[misc]  # botocore has no types
        def emit(self, event_type: str, payload: Any, source: str) -> None:
            heard.append(event_type)

    recorder = get_global_history_recorder()
    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        with patch.object(recorder, "_handlers", [Handler()]):
            recorder.enable()
            try:
                assert read(player.engine) == [KEY]
            finally:
                recorder.disable()
        assert read(player.engine) == [KEY]
        assert heard == ["API_CALL", "HTTP_REQUEST", "HTTP_RESPONSE", "PARSED_RESPONSE"]
        assert player.ways == ["direct", "botocore", "direct"]


@pytest.mark.parametrize("event", ["request-created", "before-call", "after-call", "response-received", "before-send"])
@pytest.mark.parametrize("operation", ["", ".BatchGetItem"])
def test_a_handler_that_is_registered_later_hears_the_calls_until_it_is_removed(event: str, operation: str) -> None:
    heard: list[str] = []

    def tracer(event_name: str, **_: object) -> None:
        heard.append(event_name)

    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        events = player.engine.connection._made().client.meta.events
        events.register(f"{event}.dynamodb{operation}", tracer)
        assert read(player.engine) == [KEY]
        assert heard == [f"{event}.dynamodb.BatchGetItem"]
        events.unregister(f"{event}.dynamodb{operation}", tracer)
        assert read(player.engine) == [KEY]
        assert player.ways == ["direct", "botocore", "direct"]


def test_handlers_that_every_client_is_made_with_hear_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def tracer(event_name: str, **_: object) -> None:
        heard.append(event_name)

    known = botocore.handlers.BUILTIN_HANDLERS
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", [*known, ("after-call.dynamodb.BatchGetItem", tracer)])
    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        assert heard == ["after-call.dynamodb.BatchGetItem"]
        assert player.engine.connection._made().direct is None


def test_botocores_own_stubber_answers() -> None:
    with playing((200, FOUND, {})) as player:
        stubber = Stubber(player.engine.connection._made().client)
        stubber.add_response("batch_get_item", {"Responses": {TABLE: []}, "UnprocessedKeys": {}})
        with stubber:
            assert read(player.engine) == []
        assert read(player.engine) == [KEY]
        assert player.asked == ["BatchGetItem"]


def test_the_extra_headers_of_pynamodb_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing((200, FOUND, {})) as player:
        assert read(player.engine) == [KEY]
        connection: Connection = player.engine.connection.connection
        monkeypatch.setattr(connection, "_extra_headers", {"X-Agent": "payroll"})
        assert read(player.engine) == [KEY]
        assert [one.get("X-Agent") for one in player.requests] == [None, "payroll"]


def test_the_trace_of_a_lambda_is_sent_with_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "payroll")
    with playing((200, FOUND, {})) as player:
        for trace in ("Root=1-67;Sampled=1", "Root=2-67;Sampled=0"):
            monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
            assert read(player.engine) == [KEY]
        assert [one["X-Amzn-Trace-Id"] for one in player.requests] == ["Root=1-67;Sampled=1", "Root=2-67;Sampled=0"]
        assert player.ways == ["direct"] * 2
