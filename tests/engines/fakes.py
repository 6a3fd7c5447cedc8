"""Stand-ins for DynamoDB: a connection that plays answers back, and an HTTP server that says one thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

from botocore.exceptions import ClientError

from bluestar_store.clock import continuous
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.events import Tries

Answer = dict[str, Any] | Exception | Callable[[dict[str, Any]], dict[str, Any]]


class Scripted:
    """Answers the calls in turn; the last answer is given for ever. Keeps what was asked."""

    location = "a script"

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def call(self, operation: str, table: str, tries: Tries | None = None, **arguments: Any) -> dict[str, Any]:
        self.asked.append(deepcopy(arguments))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(arguments) if callable(answer) else deepcopy(answer)


def scripted(
    *answers: Answer, attempts: int = 5, parallel_calls: int = 1, clock: Callable[[], float] = continuous
) -> tuple[DynamoEngine, Scripted, list[float]]:
    """An engine on these answers, what it asks, and the pauses it makes; one call after the other unless told else."""
    connection, pauses = Scripted(*answers), list[float]()
    engine = DynamoEngine(
        cast(AwsConnection, connection),
        indexes=(),
        parallel_calls=parallel_calls,
        attempts=attempts,
        sleep=pauses.append,
        clock=clock,
    )
    return engine, connection, pauses


def cancelled(*codes: str, messages: dict[str, str] | None = None, items: dict[int, Any] | None = None) -> ClientError:
    """AWS's answer to a cancelled transaction, a code for each write."""
    reasons = []
    for place, code in enumerate(codes):
        reason: dict[str, Any] = {"Code": code}
        if text := (messages or {}).get(code):
            reason["Message"] = text
        if place in (items or {}):
            reason["Item"] = (items or {})[place]
        reasons.append(reason)
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
        "CancellationReasons": reasons,
        "ResponseMetadata": {"RequestId": "REQUEST-1"},
    }
    return ClientError(response, "TransactWriteItems")


@contextmanager
def http_server(
    body: bytes, status: int = 200, content_type: str = "application/x-amz-json-1.0"
) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every request alike; where it finds nothing, a TransactGetItems gets that for each key.

    Its URL and the operations it was asked for.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet: the body would wait 40 ms for the head to be acknowledged

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.headers.get("X-Amz-Target", "").rpartition(".")[2])
            answer = body
            if asked[-1] == "TransactGetItems" and b'"Responses": {}' in body:
                answer = json.dumps({"Responses": [{}] * len(json.loads(request)["TransactItems"])}).encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64  # eight threads come at once: with the default of 5 some would wait a second

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
