"""Runs the library's engine over a boto3 resource of the caller's, with its credentials, endpoint and retries."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from bluestar_store.engines.dynamo.connection import AwsConnection, Made
from bluestar_store.redaction.logs import hide_data


class ResourceConnection(AwsConnection):
    """Calls through the resource's client, which belongs to the caller and stays open."""

    def __init__(self, ddb: Any) -> None:
        hide_data()
        meta = ddb.meta.client.meta
        super().__init__(
            region=meta.region_name,
            endpoint_url=meta.endpoint_url,
            connect_timeout_seconds=meta.config.connect_timeout,
            read_timeout_seconds=meta.config.read_timeout,
            max_attempts=1,
            pool_connections=1,
        )
        self._callers = ddb.meta.client
        self._client = _WireClient(self._callers)
        self._events.register(self._callers)

    def _made(self) -> Made:
        return Made(None, self._client, None)

    def close(self) -> None:
        """Leave the client, which is the caller's, as it was."""
        self._events.unregister(self._callers)


class _WireClient:
    """A resource's client, which takes and gives Python values, for who has values in DynamoDB's wire form."""

    def __init__(self, client: Any) -> None:
        from boto3.dynamodb.transform import ParameterTransformer
        from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

        self._client, self._transform = client, ParameterTransformer().transform
        self._to_python, self._to_wire = TypeDeserializer().deserialize, TypeSerializer().serialize

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        operation = getattr(self._client, name)
        shapes = self._client.meta.service_model.operation_model(self._client.meta.method_to_api_mapping[name])

        def call(**arguments: Any) -> dict[str, Any]:
            given = deepcopy(arguments)  # it is changed in place
            self._transform(given, shapes.input_shape, self._to_python, "AttributeValue")
            answer: dict[str, Any] = operation(**given)
            self._transform(answer, shapes.output_shape, self._to_wire, "AttributeValue")
            return answer

        return call
