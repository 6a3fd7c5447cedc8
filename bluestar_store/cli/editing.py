"""What the commands that change one thing share: show the difference, ask, write it against the versions seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from bluestar_store.cli.asking import ask
from bluestar_store.cli.differences import difference_lines, difference_records
from bluestar_store.cli.errors import BadUsage, escaped
from bluestar_store.cli.options import session
from bluestar_store.cli.output import Output
from bluestar_store.cli.secrets import with_secrets
from bluestar_store.keys import GLOBAL

if TYPE_CHECKING:
    from bluestar_store.models.kind import Kind
    from bluestar_store.seeding.compare import Part
    from bluestar_store.store import Store


def values(example: str) -> Any:
    """The argument of a `set` command, with an example of what may be set."""
    return typer.Argument(metavar="KEY=VALUE", help=f"Such as {example}; KEY=null takes it away.", show_default=False)


def set_values(
    ctx: typer.Context, as_json: bool, kind_name: str, identity: dict[str, Any], texts: Sequence[str], *, yes: bool
) -> None:
    """The whole of a `set` command."""
    with session(ctx, as_json) as (store, out):
        from bluestar_store.seeding import edit

        kind = kind_named(store, kind_name)
        with bad_values():
            part = edit.changed(store, kind, identity, edit.values_of(kind, with_secrets(kind, texts)))
        write(store, out, part, yes=yes)


def delete(ctx: typer.Context, as_json: bool, kind_name: str, identity: dict[str, Any], *, yes: bool) -> None:
    """The whole of a `delete` command."""
    with session(ctx, as_json) as (store, out):
        from bluestar_store.seeding import edit

        write(store, out, edit.deleted(store, kind_named(store, kind_name), identity), yes=yes)


def write(store: Store, out: Output, part: Part, *, yes: bool) -> None:
    """Show the part, ask, and write it unless somebody was faster."""
    from bluestar_store.seeding.load import write_part

    one_person_may(store)
    found = difference_records(part.entries)
    if not found:
        out.show(found, "Nothing to do: that is what is stored.")
        return
    lines = list(difference_lines(part.entries, whole=True))
    if not part.stored:
        lines += ["Not stored yet: it will be made.", *_beside_the_rule_of_now(store, part)]
    question, done = ("Write this?", "Written.") if part.wanted else ("Delete this?", "Deleted.")
    ask(out, question, lines, yes=yes)
    write_part(store, part)
    out.show(found, done)


def one_person_may(store: Store) -> None:
    """Raises BadUsage where nobody may change rules alone: see the setting `four_eyes`."""
    if store.settings.four_eyes:
        raise BadUsage(
            "BLUESTAR_FOUR_EYES is set: put it into a rule set, `seed --from FOLDER --plan FILE`, and let somebody "
            "else `seed --apply FILE`"
        )


def _beside_the_rule_of_now(store: Store, part: Part) -> Iterator[str]:
    """What a plan's first calculation rule of a type takes from the plan: it stands alone, without GLOBAL's values."""
    from bluestar_store.errors import RuleNotFoundError, did_you_mean
    from bluestar_store.models.calculation import CalculationRule

    for rule in part.wanted:
        if not isinstance(rule, CalculationRule) or rule.plan_id == GLOBAL:
            continue
        try:
            now = store.calculation_rules.get(rule.plan_id, rule.calc_type, fresh=True)
        except RuleNotFoundError:
            hint = did_you_mean(rule.calc_type, store.calculation_rules.all(rule.plan_id))
            yield f"GLOBAL has no rule {rule.calc_type} either{hint}"
            continue
        gone = [name for name, value in now if value is not None and getattr(rule, name) is None]
        if gone:
            yield f"It stands alone: GLOBAL's {', '.join(gone)} will not apply to {rule.plan_id} any more."


def kind_named(store: Store, name: str) -> Kind[Any]:
    """The store's kind of this name."""
    return next(kind for kind in store.tables.kinds if kind.name == name)


@contextmanager
def bad_values() -> Iterator[None]:
    """Values that the entity refuses are bad usage."""
    from bluestar_store.errors import InvalidEntityError

    try:
        yield
    except InvalidEntityError as error:
        raise BadUsage(escaped(str(error))) from None
