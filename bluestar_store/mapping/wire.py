"""DynamoDB's wire form of values, `{"S": "text"}` or `{"M": {name: value}}`, and the one way to go through it.

`visitor` makes a function of wire values from what is done with each type. Everything that reads, copies, compares or
spells a wire value is one: `from_wire` here, spellings of exports, documents, the drop-in's dicts. `engines.checks` and
`engines.item_json` go through values by themselves: they are given what may be no wire value at all, and say why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from immutabledict import immutabledict

from bluestar_store.keys import shown
from bluestar_store.protocols import AttributeValue, Item


def visitor(
    leaves: Mapping[str, Callable[[Any], Any]],
    *,
    list_of: Callable[[list[Any]], Any],
    map_of: Callable[[dict[str, Any]], Any],
) -> Callable[[AttributeValue], Any]:
    """A function of one wire value: what `leaves` gives for the content of its type.

    `leaves` has the types S, N, B, BOOL, NULL, SS, NS and BS. Of a list and a map the members are visited first. Raises
    ValueError for another type.
    """
    plain = frozenset(kind for kind, leaf in leaves.items() if leaf is as_it_is)

    def visit(value: AttributeValue) -> Any:
        ((kind, content),) = value.items()
        if kind in plain:
            return content
        if kind == "M":
            return map_of({name: visit(member) for name, member in content.items()})
        if kind == "L":
            return list_of([visit(member) for member in content])
        return of_type(leaves, kind)(content)

    return visit


def of_type(functions: Mapping[str, Callable[[Any], Any]], kind: str) -> Callable[[Any], Any]:
    """The function for values of a type. Raises ValueError for a type that DynamoDB does not have."""
    try:
        return functions[kind]
    except KeyError:
        raise ValueError(f"is of type {shown(kind)}, which DynamoDB does not have") from None


def as_it_is(content: Any) -> Any:
    """For `leaves`: the content itself."""
    return content


SCALARS = frozenset(("S", "N", "B", "BOOL", "NULL"))
"""Types whose content is no container."""
SETS = ("SS", "NS", "BS")
"""Types of sets; their content is a list."""
PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "S": as_it_is,
    "B": as_it_is,
    "BOOL": as_it_is,
    "NULL": lambda _: None,
}
"""Types whose content is a Python value already."""


def rewriter(changes: Mapping[str, Callable[[Any], Any]]) -> Callable[[AttributeValue], AttributeValue]:
    """A function that makes a new wire value of one, the content of some types changed, that of a map `M` too."""
    change_map = changes.get("M")
    unchanged = SCALARS - changes.keys()
    changed = {**dict.fromkeys(SETS, list), **changes}

    def rewritten(value: AttributeValue) -> AttributeValue:
        ((kind, content),) = value.items()
        if kind in unchanged:
            return {kind: content}
        if kind == "M":
            members = {name: rewritten(member) for name, member in content.items()}
            return {"M": members if change_map is None else change_map(members)}
        if kind == "L":
            return {"L": [rewritten(member) for member in content]}
        return {kind: of_type(changed, kind)(content)}

    return rewritten


def in_order(members: dict[str, Any]) -> dict[str, Any]:
    """For `map_of`: sorted by name."""
    return {name: members[name] for name in sorted(members)}


from_wire = visitor(
    {**PLAIN, "N": Decimal, "NS": lambda content: frozenset(map(Decimal, content)), "SS": frozenset, "BS": frozenset},
    list_of=tuple,
    map_of=immutabledict,
)
"""A wire value as frozen Python: numbers as Decimal, lists as tuples, maps and sets immutable."""

copied_value = rewriter({})
"""A deep copy of a wire value."""


def copied(item: Mapping[str, AttributeValue]) -> Item:
    """A deep copy of a wire item."""
    return {
        name: value.copy() if SCALARS.issuperset(value) or type(value) is not dict else copied_value(value)
        for name, value in item.items()
    }


comparable = visitor(
    {**PLAIN, "N": Decimal, "NS": lambda content: frozenset(map(Decimal, content)), "SS": frozenset, "BS": frozenset}
    | {"BOOL": lambda content: ("BOOL", content)},  # to Python, True is 1
    list_of=tuple,
    map_of=as_it_is,
)
"""What is equal for two wire values that DynamoDB's `=` takes for equal."""
