"""A DynamoDB that plays answers back over HTTP, and an engine on it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.keys import Key
from tests.engines.conftest import connection_to
from tests.servers import HOST

TABLE = "bluestar-store"
KEY = {"PK": {"S": "A"}, "SK": {"S": "A"}}
FOUND = json.dumps({"Responses": {TABLE: [KEY]}, "UnprocessedKeys": {}}).encode()
Told: TypeAlias = tuple[int, bytes, dict[str, str]]
"""Status, body and headers; a header that is empty is left out."""


@dataclass
class Player:
    """A server that gives its answers in turn, the last one for ever: an engine on it, and what it was asked."""

    engine: DynamoEngine
    url: str
    asked: list[str]
    requests: list[Mapping[str, str]]
    connections: set[object]

    @property
    def ways(self) -> list[str]:
        """Whether each request was sent directly, or by botocore, which numbers its tries."""
        return ["botocore" if "amz-sdk-invocation-id" in one else "direct" for one in self.requests]


@contextmanager
def playing(*answers: Told, certificate: tuple[Path, Path] | None = None, max_attempts: int = 3) -> Iterator[Player]:
    """A player, and its client ready."""
    left, asked, requests, connections = list(answers), list[str](), list[Mapping[str, str]](), set[object]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet: the body would wait 40 ms for the head to be acknowledged

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.headers["X-Amz-Target"].rpartition(".")[2])
            requests.append(dict(self.headers.items()))
            connections.add(self.connection)
            status, body, headers = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            standard = {"Content-Type": "application/x-amz-json-1.0", "Content-Length": str(len(body))}
            for name, value in {**standard, **headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    scheme = "http"
    if certificate is not None:
        context, scheme = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), "https"
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))  # which looks so often whether to end
    thread.start()
    url = f"{scheme}://{HOST}:{server.server_port}"
    engine = DynamoEngine(connection_to(url, max_attempts=max_attempts), indexes=())
    try:
        engine.connection._made()
        yield Player(engine, url, asked, requests, connections)
    finally:
        engine.close()
        server.shutdown()
        thread.join()
        server.server_close()


def error(code: str, **more: Any) -> bytes:
    """An error as DynamoDB tells it."""
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told", **more}).encode()


def found(engine: DynamoEngine) -> list[Any]:
    """What is read of the one key."""
    return list(engine.get(TABLE, [Key("A", "A")], consistent=True).values())
