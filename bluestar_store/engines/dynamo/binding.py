"""PynamoDB classes bound to one Store's connection, for reading."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from pynamodb.connection.base import MetaTable
from pynamodb.connection.table import TableConnection

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.tables import table_schema
from bluestar_store.errors import ConfigurationError
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.protocols import TableSpec
from bluestar_store.redaction.tracebacks import without_locals

M = TypeVar("M", bound=ItemModel)

WRITES = ("save", "update", "delete", "batch_write", "create_table", "delete_table", "update_ttl")


@without_locals
class _EntityConnection(TableConnection):
    """A table connection that shows one entity's items only: other entities lie in the same table."""

    def __init__(self, mapper: Mapper[Any], spec: TableSpec, connection: AwsConnection) -> None:
        # Not super().__init__: it would make a connection, and so a botocore client, of its own.
        self.table_name = spec.name
        self.connection = connection.connection
        self._mapper = mapper
        if spec.name not in self.connection._tables:
            self.connection.add_meta_table(_meta_table(spec))

    def get_item(self, *args: Any, **kwargs: Any) -> Any:
        return self._own_item(super().get_item(*args, **kwargs))

    def batch_get_item(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().batch_get_item(*args, **kwargs)
        for items in answer.get("Responses", {}).values():
            items[:] = filter(self._mapper.owns, items)
        return answer

    def query(self, *args: Any, **kwargs: Any) -> Any:
        return self._own_items(super().query, args, kwargs)

    def scan(self, *args: Any, **kwargs: Any) -> Any:
        return self._own_items(super().scan, args, kwargs)

    def _own_item(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "Item" in answer and not self._mapper.owns(answer["Item"]):
            del answer["Item"]
        return answer

    def _own_items(self, operation: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        counting = kwargs.pop("select", None) == "COUNT"  # DynamoDB would count other entities' items too
        answer: dict[str, Any] = operation(*args, **kwargs)
        items = [item for item in answer["Items"] if self._mapper.owns(item)]
        answer["Count"] = len(items)
        if counting:
            del answer["Items"]
        else:
            answer["Items"] = items
        return answer


def bound(mapper: Mapper[Any], model: type[M], spec: TableSpec, connection: AwsConnection) -> type[M]:
    """A subclass of the kind's Model, `model`, whose reads go through the connection, and whose writes are refused."""
    plain: Any = model.Meta
    meta = type("Meta", (plain,), {"table_name": spec.name})
    members: dict[str, Any] = {"Meta": meta, "_connection": None, "__module__": model.__module__}
    members |= {name: _refusing(mapper, name) for name in WRITES}
    made: Any = type(model.__name__, (model,), members)
    made.DoesNotExist = model.DoesNotExist
    made._connection = _EntityConnection(mapper, spec, connection)
    return made  # type: ignore[no-any-return]  # made by PynamoDB's metaclass


def _refusing(mapper: Mapper[Any], name: str) -> Any:
    def refuse(cls: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise ConfigurationError(
            f"{mapper.model.__name__}.{name} is refused: a bound Model is for reading; the repository of "
            f"{mapper.entity.__name__} writes with versions and keeps what others put on the item"
        )

    return classmethod(refuse)


def _meta_table(spec: TableSpec) -> MetaTable:
    """What PynamoDB needs to know of the table, for every Model that is bound to it."""
    schema = table_schema(spec)
    return MetaTable(
        {
            "TableName": spec.name,
            "KeySchema": schema["KeySchema"],
            "AttributeDefinitions": schema["AttributeDefinitions"],
            "GlobalSecondaryIndexes": schema.get("GlobalSecondaryIndexes", []),
            "LocalSecondaryIndexes": [],
        }
    )
