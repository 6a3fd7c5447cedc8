"""Differences between a rule set and the store, as data and as lines: one form for every command that shows one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bluestar_store.cli.output import cell
from bluestar_store.cli.records import Record, plain

if TYPE_CHECKING:
    from bluestar_store.rulesets import Change, Entry
    from bluestar_store.store import Store

LINE = 80
"""A change that would be longer has its new value on a line of its own."""
_ACTIONS = ("add", "change", "remove")


def difference_records(store: Store, entries: Iterable[Entry]) -> list[Record]:
    """What differs, as data; what is the same is left out."""
    return entry_records(store, (entry for entry in entries if entry.action in _ACTIONS))


def entry_records(store: Store, entries: Iterable[Entry]) -> list[Record]:
    """Each entity with its level, key and changes."""
    return [
        {
            "level": entry.level,
            "kind": entry.kind,
            "key": entry.key,
            "action": str(entry.action),
            "changes": [
                {
                    "attribute": change.attribute,
                    "old": shown_value(store, entry.kind, change.attribute, change.old),
                    "new": shown_value(store, entry.kind, change.attribute, change.new),
                }
                for change in entry.changes
            ],
        }
        for entry in entries
    ]


def shown_value(store: Store, kind: str, attribute: str, value: Any) -> Any:
    """A value of an entity of this kind as it may be shown: see `records`."""
    from bluestar_store.mapping.salvage import DROPPED, UNREADABLE
    from bluestar_store.redaction.masking import names_tell

    if value in (UNREADABLE, DROPPED):
        return value
    mapper = store.tables.named(kind)
    unknown = mapper.sensitive and attribute not in mapper.entity.model_fields
    return plain(value, attribute, secret=unknown, names_count=names_tell(mapper.entity, attribute))


def difference_lines(store: Store, entries: Iterable[Entry], *, whole: bool = False) -> Iterator[str]:
    """What differs, level by level: what is added, then changed (attribute: old -> new), then removed.

    With `whole`, the attributes of what is added or removed too.
    """
    levels: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.action in _ACTIONS:
            levels.setdefault(entry.level, []).append(entry)
    for level, found in sorted(levels.items(), key=lambda pair: (pair[0] not in ("GLOBAL", "DEFAULT"), pair[0])):
        counts = {action: sum(entry.action == action for entry in found) for action in _ACTIONS}
        yield f"{level}: {', '.join(f'{action} {count}' for action, count in counts.items() if count)}"
        for entry in sorted(found, key=lambda entry: _ACTIONS.index(entry.action)):
            yield f"  {entry.action:<7} {entry.kind} {entry.key}"
            if entry.action == "change":
                yield from change_lines(store, entry.kind, entry.changes)
            elif whole:
                yield from _attribute_lines(store, entry)


def change_lines(store: Store, kind: str, changes: Iterable[Change], *, between: str = "->") -> Iterator[str]:
    """`attribute: old -> new` for each change of an entity of this kind."""
    for change in changes:
        old, new = _texts(store, kind, change)
        line = f"    {change.attribute}: {old} {between} {new}"
        if len(line) <= LINE:
            yield line
        else:
            yield f"    {change.attribute}: {old}"
            yield f"    {' ' * (len(change.attribute) + 1 - len(between))}{between} {new}"


def totals(entries: Iterable[Entry]) -> str:
    """How many of each, in one line."""
    actions = [str(entry.action) for entry in entries]
    counts = {name: actions.count(name) for name in (*_ACTIONS, "same")}
    return f"To add {counts['add']}, to change {counts['change']}, to remove {counts['remove']}; same {counts['same']}"


def _attribute_lines(store: Store, entry: Entry) -> Iterator[str]:
    key = store.tables.named(entry.kind).keys.fields
    for change in entry.changes:
        if change.attribute not in key:
            old, new = _texts(store, entry.kind, change)
            yield f"    {change.attribute}: {new if entry.action == 'add' else old}"


def _texts(store: Store, kind: str, change: Change) -> list[str]:
    values = (shown_value(store, kind, change.attribute, value) for value in (change.old, change.new))
    return ["(none)" if value is None else cell(value) for value in values]
