"""Saved plans: a reviewed difference as a file, applied exactly, or refused when the store has moved since."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bluestar_store.engines.item_json import item_from_json, to_json
from bluestar_store.engines.whole_files import write_whole
from bluestar_store.errors import BlueStarError, PlanOutdatedError, RuleSetProblem, SeedError
from bluestar_store.keys import shown
from bluestar_store.models.canonical import canonical, digest
from bluestar_store.models.kind import Kind
from bluestar_store.seeding.compare import Difference, Part, Target, compare_part
from bluestar_store.seeding.load import LoadReport, one_entry, outcome_of, report, to_write, watched, write_part

FORMAT = 1


class _StrangerError(Exception):
    """A plan that was made where other kinds are known."""


def save_plan(difference: Difference, path: Path) -> None:
    """Write a difference as a plan, an entry a line for people to read; replaces the file whole."""
    content = [_part_data(part) for part in difference.parts if not part.is_same]
    lines = ",\n".join(to_json(part) for part in content)
    text = f'{{"format": {FORMAT}, "parts": [\n{lines}\n]}}\n'
    write_whole(path, text.encode(), mode=0o600)  # bank numbers are whole in it


def apply_plan(
    store: Target, path: Path, *, progress: Callable[[int], None] | None = None, actor: str | None = None
) -> LoadReport:
    """Write exactly what the plan says.

    First everything is compared: when an item is not as it was when the plan was made, that is a PlanOutdatedError
    that names each such item, and nothing is written. Each write is conditional on that comparison; should somebody
    change an item in that moment, the plan stops there with a ConflictError, and a new one shows what is left. `actor`
    is who writes, the setting's where none is given. Raises SeedError for a file that is no plan.
    """
    planned = _read(path, store.tables.kinds)
    parts = [compare_part(store, part) for _, part in planned]
    moved = [
        place
        for (stored, _), part in zip(planned, parts, strict=True)
        for place in _moved(stored, [_state(part.kind, entity) for entity in part.stored])
    ]
    if moved:
        raise PlanOutdatedError(moved)
    outcomes = []
    difference = Difference(tuple(parts))
    with one_entry(store, difference, to_write(difference, overwrite=True), actor):
        for part in watched(parts, progress):
            write_part(store, part, actor)
            outcomes.append((outcome_of(part, overwrite=True), part))
    return report(outcomes)


def _part_data(part: Part) -> dict[str, Any]:
    kind = part.kind
    wanted = []
    for entity in part.wanted:
        key = kind.keys.build(kind.identity(entity))
        wanted.append({"PK": {"S": key.pk}, "SK": {"S": key.sk}, **kind.encode(entity)})
    return {
        "kind": kind.name,
        "outcome": outcome_of(part, overwrite=True),
        "wanted": wanted,
        "stored": [_state(kind, entity) for entity in part.stored],
    }


def _state(kind: Kind[Any], entity: Any) -> dict[str, Any]:
    """What tells that an item is as it was: its raw key, its version, and its content."""
    key = kind.key(entity)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "version": entity.version,
        "digest": digest(canonical(entity)),
        "actor": entity.written_by,
        "item": entity.origin.wire,
    }


def _moved(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    """The raw keys of items that came, went or changed, and who did that, as far as it is known.

    An item that another program changes keeps the name of whoever wrote it before: its version tells.
    """
    before, after = ({(state["pk"], state["sk"]): state for state in states} for states in (then, now))
    moved = []
    for place in sorted(before.keys() | after.keys()):
        old, new = before.get(place, {}), after.get(place, {})
        if not new:
            moved.append(f"{' '.join(place)} (deleted)")
        elif new["version"] != old.get("version"):
            moved.append(" ".join(place) + (f" (by {new['actor']})" if new["actor"] else ""))
        elif new["digest"] != old.get("digest"):
            moved.append(f"{' '.join(place)} (by a program that keeps no versions)")
    return moved


def _read(path: Path, kinds: Sequence[Kind[Any]]) -> list[tuple[list[dict[str, Any]], Part]]:
    """Each part, with the states of what was stored when the plan was made."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        return [(data["stored"], _part(data, kinds)) for data in content["parts"]]
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except _StrangerError as error:
        reason = f"{error}; kinds of your own are named by BLUESTAR_KINDS, as when the plan was made"
    except (ValueError, KeyError, TypeError, BlueStarError) as error:
        reason = f"is no plan of this version of bluestar-store ({error})"
    raise SeedError([RuleSetProblem(str(path), "", reason)])


def _part(data: dict[str, Any], kinds: Sequence[Kind[Any]]) -> Part:
    """The part of a plan: what is wanted, and what was stored when it was made."""
    kind = next((kind for kind in kinds if kind.name == data["kind"]), None)
    if kind is None:
        raise _StrangerError(f"has items of a kind {shown(data['kind'])} that is not known here")
    wanted = tuple(_fresh(kind, item) for item in data["wanted"])
    stored = tuple(kind.decode(item_from_json(kind.table, state["item"])) for state in data["stored"])
    return Part(kind, wanted, stored, ())


def _fresh(kind: Kind[Any], item: Any) -> Any:
    """An entity that was never read: it carries no version."""
    entity = kind.decode(item_from_json(kind.table, item))
    if entity.extra:
        raise _StrangerError(f"has attributes of {kind.name} that are not known here: {', '.join(entity.extra)}")
    return kind.entity(**dict(entity))
