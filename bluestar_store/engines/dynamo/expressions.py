"""DynamoDB's expressions for our writes: names and values always as placeholders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.protocols import (
    VERSION,
    AsRead,
    AttributeValue,
    Check,
    Delete,
    Expectation,
    Expected,
    Fits,
    Put,
    Update,
    Write,
)


def transact_items(writes: Sequence[Write]) -> list[dict[str, Any]]:
    """The writes as TransactWriteItems takes them."""
    return [_transact_item(write) for write in writes]


def _transact_item(write: Write) -> dict[str, Any]:
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    arguments: dict[str, Any] = {"TableName": write.table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    match write:
        case Put():
            operation = "Put"
            arguments["Item"] = write.item
        case Update():
            operation = "Update"
            arguments["UpdateExpression"] = update_expression(write.set, write.remove, names, values)
        case Delete():
            operation = "Delete"
        case Check():
            operation = "ConditionCheck"
    if not isinstance(write, Put):
        arguments["Key"] = {"PK": {"S": write.key.pk}, "SK": {"S": write.key.sk}}
    if condition := _condition(write.expect, names, values):
        arguments["ConditionExpression"] = condition
    if names:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = values
    return {operation: arguments}


def update_expression(
    changes: Mapping[str, AttributeValue], removed: Iterable[str], names: dict[str, str], values: dict[str, Any]
) -> str:
    """The UpdateExpression that sets and removes attributes; what its placeholders stand for goes to the dicts."""
    sets = []
    for number, (name, value) in enumerate(changes.items()):
        names[f"#s{number}"], values[f":s{number}"] = name, value
        sets.append(f"#s{number} = :s{number}")
    removes = []
    for number, name in enumerate(sorted(removed)):
        names[f"#r{number}"] = name
        removes.append(f"#r{number}")
    clauses = (f"SET {', '.join(sets)}" if sets else "", f"REMOVE {', '.join(removes)}" if removes else "")
    return " ".join(filter(None, clauses))


def _condition(expect: Expectation, names: dict[str, str], values: dict[str, Any]) -> str:
    match expect:
        case Expected.ANY:
            return ""
        case Expected.ABSENT:
            return "attribute_not_exists(PK)"
        case Expected.EXISTS:
            return "attribute_exists(PK)"
        case 0:
            # Other programs may have written a 0 out.
            names["#v"], values[":v"] = VERSION, {"N": "0"}
            return "attribute_exists(PK) AND (attribute_not_exists(#v) OR #v = :v)"
        case int():
            names["#v"], values[":v"] = VERSION, {"N": str(expect)}
            return "#v = :v"
        case AsRead():
            version = Expected.EXISTS if expect.version is None else expect.version
            return " AND ".join((_condition(version, names, values), *_as_read(expect, names, values)))
        case Fits():
            return " AND ".join(_fits(expect, names, values))


def _fits(expect: Fits, names: dict[str, str], values: dict[str, Any]) -> Iterator[str]:
    for number, test in enumerate(expect.tests):
        name, placeholders = f"#f{number}", [f":f{number}_{place}" for place in range(len(test.values))]
        names[name] = test.attribute
        values |= dict(zip(placeholders, test.values, strict=True))
        if test.how == "contains":
            passed = f"contains({name}, {placeholders[0]})"
        else:
            passed = f"{'' if test.how == 'one of' else 'NOT '}{name} IN ({', '.join(placeholders)})"
        there = f"attribute_exists({name}) AND" if test.required else f"attribute_not_exists({name}) OR"
        yield f"({there} {passed})"


def _as_read(expect: AsRead, names: dict[str, str], values: dict[str, Any]) -> Iterator[str]:
    for number, (name, value) in enumerate(expect.all_attributes.items()):
        names[f"#a{number}"] = name
        if value is None:
            yield f"attribute_not_exists(#a{number})"
        else:
            values[f":a{number}"] = value
            yield f"#a{number} = :a{number}"
