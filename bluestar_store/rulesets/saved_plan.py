"""Saved plans: a reviewed difference as a file, applied exactly, or refused when the store has changed since.

Four eyes (BLUESTAR_FOUR_EYES): a plan is applied by another actor than the one who proposed it in this store. The file
of a plan is its proposer's, who may write any name into it and give it a new digest. So where the setting demands two,
who proposed which digest is an entry in a trail of the store, made when the plan is saved, and a plan without one is
refused. An actor is who the settings say: that has to be set where people cannot.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bluestar_store.engines.conditions import equal_values
from bluestar_store.engines.item_json import item_from_json
from bluestar_store.errors import BlueStarError, ConfigurationError, EncryptedValueError, PlanOutdatedError
from bluestar_store.keys import Key, shown
from bluestar_store.mapping.canonical import canonical
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import salvaged
from bluestar_store.mapping.values import utc_text
from bluestar_store.models.audit import Trail
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.rulesets.comparing import Difference, Part, RuleStore, compare_part
from bluestar_store.rulesets.loading import (
    LOADS,
    LoadReport,
    one_entry,
    outcome_of,
    report,
    to_write,
    with_progress,
    write_part,
)
from bluestar_store.rulesets.meaning import check_meaning
from bluestar_store.rulesets.plan_file import (
    PlanFile,
    PlannedPart,
    PlannedStore,
    no_plan,
    read_plan,
    refusal,
    write_plan,
)


@dataclass(frozen=True)
class SavedPlan:
    """A plan that may be applied: for this store, which is as it was when the plan was made.

    `difference` is that with the store as it is now. `proposed_by` is who made the plan, None where nobody said.
    """

    path: Path
    digest: str
    proposed_by: str | None
    proposed: datetime
    difference: Difference


class _WrongPartError(Exception):
    """A part that no plan of this store's rules has."""


@without_locals
def save_plan(store: RuleStore, difference: Difference, path: Path, *, actor: str | None = None) -> str:
    """Write a difference as a plan file with its proposer, by default the setting's actor; returns its digest.

    The file is replaced whole. Where four eyes are demanded, an entry in the store's trail PROPOSALS goes before it,
    and whoever applies the plan is held against that: where the entry cannot be made, there is no file either. Raises
    OSError; ConfigurationError where they are demanded and nobody is named.
    """
    by = actor_or_default(store, actor)
    if store.settings.four_eyes and not is_person(by):
        raise ConfigurationError("BLUESTAR_FOUR_EYES is set: say who proposes the plan, by BLUESTAR_ACTOR or --actor")
    parts = [part for part in difference.parts if not part.is_same]
    data = [_part_data(store, part) for part in parts]

    def propose(digest: str) -> None:
        if store.settings.four_eyes:
            record_proposal(store, digest, by)

    return write_plan(path, _store_of(store, parts), by, store.clock.now(), data, before_write=propose)


@without_locals
def open_plan(store: RuleStore, path: Path, *, digest: str | None = None, actor: str | None = None) -> SavedPlan:
    """A saved plan, checked: it is whole, for this store, of rules, and its items are as they were.

    `digest`: the one that `save_plan` gave, of what was reviewed. `actor` is who will apply it, the setting's where
    none is given. Raises PlanRefusedError, PlanOutdatedError, which names each item that came, went or changed, and
    SeedError for what a check of meaning refuses.
    """
    plan = read_plan(path)
    if digest is not None and digest.strip().lower() != plan.digest:
        raise refusal(path, f"has the digest {plan.digest}, not the one given: it is not what was reviewed")
    if store.settings.four_eyes:
        check_proposal(store, path, plan, actor_or_default(store, actor))
    planned = _parts(path, plan, store)
    here = _store_of(store, planned)
    if plan.store.tables != here.tables:
        there = f"{shown(plan.store.location)}, tables {shown(', '.join(sorted(plan.store.tables)))}"
        raise refusal(path, f"was made for another store ({there}) than {here.location}: make it again here")
    parts = [compare_part(store, part) for part in planned]
    if changed := [place for then, now in zip(planned, parts, strict=True) for place in _changed_items(then, now)]:
        raise PlanOutdatedError(changed)
    check_meaning(store, parts)
    return SavedPlan(path, plan.digest, plan.proposed.actor, plan.proposed.at, Difference(tuple(parts)))


@without_locals
def write_opened(
    store: RuleStore, plan: SavedPlan, *, progress: Callable[[int], None] | None = None, actor: str | None = None
) -> LoadReport:
    """Write exactly what an opened plan says; see `apply_plan`."""
    outcomes = []
    writes = to_write(plan.difference, overwrite=True)
    about = {"plan": plan.digest, "proposed": utc_text(plan.proposed)}
    about |= {"proposed_by": plan.proposed_by} if plan.proposed_by else {}
    with one_entry(store, plan.difference, writes, actor, about):
        for part in with_progress(plan.difference.parts, progress):
            write_part(store, part, actor)
            outcomes.append((outcome_of(part, overwrite=True), part))
    return report(outcomes)


@without_locals
def apply_plan(
    store: RuleStore,
    path: Path,
    *,
    digest: str | None = None,
    progress: Callable[[int], None] | None = None,
    actor: str | None = None,
) -> LoadReport:
    """Write exactly what the plan says, which has this `digest`, where one is given.

    First everything is checked as by `open_plan`, and nothing is written when that finds anything. Each write is
    conditional on that comparison; should somebody change an item in that moment, the plan stops there with a
    ConflictError, and a new one shows what is left. `actor` is who writes, the setting's where none is given; the entry
    in the trail of loads says who that was, who proposed the plan, and its digest.
    """
    return write_opened(store, open_plan(store, path, digest=digest, actor=actor), progress=progress, actor=actor)


def _store_of(store: RuleStore, parts: Iterable[Part]) -> PlannedStore:
    """This store, and the identities of the tables that these parts lie in: see `protocols.TellsTables`."""
    data_id = store.engine.data_id
    table_id: Callable[[str], str] | None = getattr(store.engine, "table_id", None)
    names = sorted({store.tables.name(part.mapper) for part in parts})
    tables = {name: f"{data_id}|{table_id(name)}" if table_id is not None else data_id for name in names}
    return PlannedStore(location=store.engine.location, tables=tables)


def _part_data(store: RuleStore, part: Part) -> dict[str, Any]:
    mapper = part.mapper
    wanted = []
    for entity in part.wanted:
        key = mapper.keys.build(mapper.identity(entity))
        item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **mapper.encode(entity)}
        wanted.append(store.encrypted(mapper, item))
    stored = [store.encrypted(mapper, entity.origin.wire) for entity in part.stored]
    return {"kind": mapper.name, "outcome": outcome_of(part, overwrite=True), "wanted": wanted, "stored": stored}


def _changed_items(then: Part, now: Part) -> list[str]:
    """The raw keys of items that came, went or changed, and who did that, as far as it is known.

    An item that another program changes keeps the name of whoever wrote it before: its version tells.
    """
    before, after = ({then.mapper.key(entity): entity for entity in part.stored} for part in (then, now))
    changed = []
    for key in sorted(before.keys() | after.keys()):
        old, new, place = before.get(key), after.get(key), " ".join(key)
        if new is None:
            changed.append(f"{place} (deleted)")
        elif old is None or new.version != old.version:
            changed.append(place + (f" (by {new.written_by})" if new.written_by else ""))
        elif canonical(new) != canonical(old) or _is_changed(then.mapper, old, new):
            changed.append(f"{place} (by a program that keeps no versions)")
    return changed


def _is_changed(mapper: Mapper[Any], old: Entity, new: Entity) -> bool:
    """Whether an attribute on disk is not as it was, though it may say the same: a NULL that came or went does not."""
    if old.origin is None or new.origin is None:
        return True
    before, after = old.origin.wire, new.origin.wire
    return not all(equal_values(before.get(name), after.get(name)) for name in mapper.compared)


def _parts(path: Path, plan: PlanFile, store: RuleStore) -> list[Part]:
    """The parts as they were when the plan was made. Raises PlanRefusedError."""
    seen: set[tuple[str, Key]] = set()
    parts = []
    try:
        for data in plan.parts:
            part = _part(data, store)
            keys = {part.mapper.keys.build(part.mapper.identity(entity)) for entity in (*part.wanted, *part.stored)}
            places = {(part.mapper.name, key) for key in keys}
            if places & seen:
                raise ValueError(f"{min(keys)} twice")
            seen |= places
            parts.append(part)
    except _WrongPartError as error:
        raise refusal(path, str(error)) from None
    except RecursionError:
        raise no_plan(path, "is nested too deeply") from None
    except EncryptedValueError as error:
        raise refusal(path, f"cannot be read here: {error}") from None
    except (ValueError, TypeError, BlueStarError) as error:
        raise no_plan(path, str(error)) from None
    return parts


def _part(data: PlannedPart, store: RuleStore) -> Part:
    """The part of a plan: what is wanted, and what was stored when it was made."""
    mapper = next((mapper for mapper in store.tables.kinds if mapper.name == data.kind), None)
    if mapper is None:
        raise _WrongPartError(f"has items of a kind {shown(data.kind)} that is not known here{_KINDS_OF_YOUR_OWN}")
    if mapper.rule_list is None:
        raise _WrongPartError(f"has items of {mapper.name}, which is no kind of rules: plans change nothing else")
    wanted = tuple(_fresh(store, mapper, item) for item in data.wanted)
    stored = tuple(
        salvaged(mapper, store.decrypted(mapper, item_from_json(mapper.table, item))) for item in data.stored
    )
    part = Part(mapper, wanted, stored, ())
    fields = mapper.partition_fields if mapper.replaced_whole else mapper.keys.fields
    together = {tuple(mapper.identity(entity)[name] for name in fields) for entity in (*wanted, *stored)}
    if len(together) != 1 or any(len(set(map(mapper.key, side))) != len(side) for side in (wanted, stored)):
        raise ValueError(f"a part of {mapper.name} that is not one item or one pipeline")
    if data.outcome != ("added" if not stored else "overwritten" if wanted else "removed"):
        raise ValueError(f"a part of {mapper.name} that is not {shown(data.outcome)}")
    return part


_KINDS_OF_YOUR_OWN = "; kinds of your own are named by BLUESTAR_KINDS, as when the plan was made"


def _fresh(store: RuleStore, mapper: Mapper[Any], item: Any) -> Any:
    """An entity that was never read: it carries no version."""
    entity = mapper.decode(store.decrypted(mapper, item_from_json(mapper.table, item)))
    if entity.extra:
        names = shown(", ".join(entity.extra))[1:-1]
        raise _WrongPartError(f"has attributes of {mapper.name} that are not known here: {names}{_KINDS_OF_YOUR_OWN}")
    return mapper.entity(**dict(entity))


PROPOSALS = Trail(table=LOADS.table, partition="PROPOSALS")
"""The trail that has one entry for each plan that was proposed where four eyes are demanded."""
PROPOSE = "propose"


def actor_or_default(store: RuleStore, actor: str | None) -> str | None:
    """The actor, by default the setting's."""
    return store.settings.actor if actor is None else actor


def is_person(actor: str | None) -> bool:
    """Whether an actor has a name that distinguishes it from others."""
    return actor is not None and bool(_person(actor))


def record_proposal(store: RuleStore, digest: str, actor: str | None) -> None:
    """Append an entry that names the proposer of the plan with this digest."""
    store.audit.append(PROPOSALS, action=PROPOSE, actor=actor, details={"plan": digest})


def check_proposal(store: RuleStore, path: Path, plan: PlanFile, actor: str | None) -> None:
    """PlanRefusedError unless somebody else than the actor proposed the plan, by the file and by the store's trail."""
    if actor is None or not is_person(actor):
        raise refusal(path, "needs somebody to apply it (BLUESTAR_FOUR_EYES): give BLUESTAR_ACTOR or --actor")
    if plan.proposed.actor is None or not is_person(plan.proposed.actor):
        raise refusal(path, "does not say who proposed it, which BLUESTAR_FOUR_EYES demands: make it again")
    entries = [entry for entry in store.audit.entries(PROPOSALS) if entry.action == PROPOSE]
    proposers = [entry.actor or "" for entry in entries if (entry.details or {}).get("plan") == plan.digest]
    if not proposers or _person(plan.proposed.actor) not in map(_person, proposers):
        raise refusal(
            path,
            f"was not proposed in this store by {shown(plan.proposed.actor)}, which BLUESTAR_FOUR_EYES demands: it was "
            "altered, or made without that setting; make it again",
        )
    if _person(actor) in map(_person, proposers):
        raise refusal(path, f"was proposed by {shown(actor)}: BLUESTAR_FOUR_EYES demands that somebody else applies it")


def _person(actor: str) -> str:
    """Letters and digits of a name: the same person may be spelled in several ways."""
    return "".join(char for char in unicodedata.normalize("NFKC", actor).casefold() if char.isalnum())
