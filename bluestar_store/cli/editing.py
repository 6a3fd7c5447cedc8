"""What the commands that change one thing share: show the difference, ask, write it against the versions seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from bluestar_store.cli.asking import ask
from bluestar_store.cli.differences import difference_lines, difference_records
from bluestar_store.cli.errors import BadUsage, escaped
from bluestar_store.cli.options import opened_store
from bluestar_store.cli.output import Output
from bluestar_store.cli.secrets import with_secrets

if TYPE_CHECKING:
    from bluestar_store.checks.meaning import Level
    from bluestar_store.mapping.mapper import Mapper
    from bluestar_store.rulesets.comparing import Part
    from bluestar_store.store import Store


def values(example: str) -> Any:
    """The argument of a `set` command, with an example of what may be set."""
    return typer.Argument(metavar="KEY=VALUE", help=f"Such as {example}; KEY=null takes it away.", show_default=False)


def set_values(
    ctx: typer.Context, as_json: bool, kind_name: str, identity: dict[str, Any], texts: Sequence[str], *, yes: bool
) -> None:
    """The whole of a `set` command."""
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.rulesets import editing

        kind = store.tables.named(kind_name)
        with bad_values():
            part = editing.changed(store, kind, identity, editing.values_of(kind, with_secrets(kind, texts)))
        write(store, out, part, yes=yes)


def delete(ctx: typer.Context, as_json: bool, kind_name: str, identity: dict[str, Any], *, yes: bool) -> None:
    """The whole of a `delete` command."""
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.rulesets import editing

        write(store, out, editing.deleted(store, store.tables.named(kind_name), identity), yes=yes)


def write(store: Store, out: Output, part: Part, *, yes: bool) -> None:
    """Show the part, ask, and write it unless somebody was faster."""
    from bluestar_store.rulesets.loading import write_part

    refuse_under_four_eyes(store)
    found = difference_records(store, part.entries)
    if not found:
        out.show(found, "Nothing to do: that is what is stored.")
        return
    lines = list(difference_lines(store, part.entries, whole=True))
    if not part.stored:
        lines += ["Not stored yet: it will be made.", *_left_behind(store, part)]
    lines += doubt_lines(store, [part])
    question, done = ("Write this?", "Written.") if part.wanted else ("Delete this?", "Deleted.")
    ask(out, question, lines, yes=yes)
    write_part(store, part)
    out.show(found, done)


def refuse_under_four_eyes(store: Store, *, fill: bool = False) -> None:
    """Raises BadUsage where nobody may change rules alone: see the setting `four_eyes`.

    `fill`: it is what a store begins with. A store without any item has nothing that could be changed.
    """
    if not store.settings.four_eyes:
        return
    if fill:
        from bluestar_store.transfer.importing import is_empty

        if is_empty(store):
            return
    raise BadUsage(
        "BLUESTAR_FOUR_EYES is set: nobody changes rules alone; save what a rule set changes as a plan, "
        "`seed --from FOLDER --plan FILE`, and let somebody else `seed --apply FILE`"
    )


def _left_behind(store: Store, part: Part) -> Iterator[str]:
    """What a plan's first rule or configuration takes from the plan, for it stands alone; of limits, from the year."""
    from bluestar_store.models.limits import IrsLimits

    for entity in part.wanted if not part.mapper.replaced_whole else ():
        if isinstance(entity, IrsLimits):
            before, whose = {"year": entity.year - 1}, str(entity.year - 1)
        elif part.mapper.keys.level not in (None, entity.plan_id) and getattr(entity, "enabled", True):
            whose = str(part.mapper.keys.level)
            before = part.mapper.identity(entity) | {"plan_id": whose}
        else:
            continue
        inherited = _current(store, part.mapper, before)
        if inherited is None:
            if not isinstance(entity, IrsLimits):
                yield f"{whose} has {_suggestion(store, entity)}"
            continue
        lost = inherited.unreadable
        gone = [n for n, value in inherited if (value is not None or n in lost) and getattr(entity, n) is None]
        if gone and isinstance(entity, IrsLimits):
            yield f"{whose} has {', '.join(gone)}, which {entity.year} will not have."
        elif gone:
            yield f"It stands alone: {whose}'s {', '.join(gone)} will not apply to {entity.plan_id} any more."


def _current(store: Store, mapper: Mapper[Any], identity: dict[str, Any]) -> Any:
    """What is stored of this identity; None where nothing is."""
    if identity.get("year", 0) < 0:
        return None
    found = store.repository(mapper).current([mapper.entity(**identity)], salvage=True)
    return next(iter(found.values()), None)


def _suggestion(store: Store, entity: Any) -> str:
    from bluestar_store.errors import did_you_mean
    from bluestar_store.models.calculation import CalculationRule

    if not isinstance(entity, CalculationRule):
        return "none either: there is nothing that it stands in for."
    known = store.calculation_rules.all(entity.plan_id)
    return f"no rule {entity.calc_type} either{did_you_mean(entity.calc_type, known)}"


def doubt_lines(store: Store, parts: Iterable[Part], *, only: Collection[Level] | None = None) -> Iterator[str]:
    """What may be a mistake in what is to be written, a line each."""
    from bluestar_store.rulesets.meaning import doubts

    for place, found in doubts(store, parts):
        if only is None or found.level in only:
            yield f"Is that meant? {place}: {found}"


@contextmanager
def bad_values() -> Iterator[None]:
    """Values that the entity refuses are bad usage."""
    from bluestar_store.errors import InvalidEntityError

    try:
        yield
    except InvalidEntityError as error:
        raise BadUsage(escaped(str(error))) from None
