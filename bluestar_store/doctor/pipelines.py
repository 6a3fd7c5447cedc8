"""Pipelines that are not whole. Each step of the library carries its replacement's revision and number of steps.

The head of the pipeline's trail says how many there have to be, too, and changes with every replacement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import AccessDeniedError, TableMissingError
from bluestar_store.keys import DEFAULT, Key
from bluestar_store.models.audit import CHAIN_HEAD, ChainHead
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.trail import STEP_COUNT

LOOKS = 5
"""How often a pipeline that is being replaced while we look is read again."""


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each pipeline that readers refuse.

    A page may hold a part of a pipeline only, and a scan may see a replacement half done: what looks wrong is read
    again. The page with the first step tells; of a pipeline without steps the page with its head.
    """
    parts: dict[str, list[Seen]] = defaultdict(list)
    for one in page:
        if one.mapper is not None and one.mapper.replaced_whole:
            parts[one.key.pk].append(one)
    heads = _heads(session, [pk for pk, part in parts.items() if not any(_revision(one.item) for one in part)])
    for pk, part in parts.items():
        if fault([one.item for one in part], _written(heads.get(_head_key(pk)))) is not None:
            items, what = _settled(session, pk)
            if items and any(one.key == key_of(items[0]) for one in part):
                yield from _findings(session, pk, what)
    for pk in _promised(page):
        if _is_empty(session, pk):
            items, what = _settled(session, pk)
            if not items:
                yield from _findings(session, pk, what)


def fault(items: Sequence[Item], written: int) -> str | None:
    """Why readers refuse these as a pipeline of which the library left `written` steps; None when they do not.

    Steps without a revision are other programs'; they may lie among ours as long as no step is lost.
    """
    ours = [item for item in items if _revision(item)]
    revisions = {_revision(item) for item in ours}
    if len(revisions) > 1:
        return f"its {len(items)} steps are of {len(revisions)} revisions"
    needed = _written(ours[0]) if ours else written
    if len(items) < needed:
        return f"has lost {needed - len(items)} of its {needed} steps"
    return None


def _findings(session: Session, pk: str, what: str | None) -> Iterator[Finding]:
    if what is not None:
        yield Finding(Severity.ERROR, "pipeline", what, _mend(pk), session.table(PIPELINE_STEP), pk)


def _mend(pk: str) -> str:
    """What writes the pipeline again, and what takes it away."""
    identity = PIPELINE_STEP.keys.forms[0][0].parse(pk) or {"plan_id": "PLAN", "pay_freq": "FREQ"}
    place = f"{quote(identity['plan_id'])} {quote(identity['pay_freq'])}"
    if identity["plan_id"] == DEFAULT:
        rules, without = "seed --overwrite, or with --from FOLDER", "plans that live on the defaults then have none"
    else:
        rules, without = "seed --overwrite --from FOLDER", "the plan then has DEFAULT's"
    return (
        f"write it again, whole: bluestar-store {rules}, if the rule set has it, or bluestar-store pipeline replace "
        f"{place} FILE; or take it away: bluestar-store pipeline remove {place}, {without}. In Python: "
        "pipelines.replace or pipelines.remove of a Store"
    )


def _promised(page: Iterable[Seen]) -> Iterator[str]:
    """The pipelines of which a head on this page says that they have steps."""
    for one in page:
        if isinstance(one.entity, ChainHead) and one.entity.table == PIPELINE_STEP.table and _written(one.item):
            yield one.entity.partition or ""


def _revision(item: Item) -> str | None:
    revision: str | None = item.get(REVISION, {}).get("S")
    return revision


def _written(item: Item | None) -> int:
    """The number of steps that a step or a head tells."""
    text = (item or {}).get(STEP_COUNT, {}).get("N", "")
    return int(text) if text.isdecimal() else 0


def _head_key(pk: str) -> Key:
    return CHAIN_HEAD.keys.build({"batch_id": None, "table": PIPELINE_STEP.table, "partition": pk})


def _heads(session: Session, pks: Iterable[str]) -> Mapping[Key, Item]:
    """The heads of these pipelines; none where they cannot be read, for then other findings say why."""
    try:
        return session.engine.get(session.table(CHAIN_HEAD), map(_head_key, pks), consistent=True)
    except (TableMissingError, AccessDeniedError):
        return {}


def _is_empty(session: Session, pk: str) -> bool:
    prefix = PIPELINE_STEP.keys.sort.prefix
    try:
        return not session.engine.query(session.table(PIPELINE_STEP), pk, prefix, limit=1, consistent=True).items
    except (TableMissingError, AccessDeniedError):
        return False


def _settled(session: Session, pk: str) -> tuple[list[Item], str | None]:
    """The steps, read while nobody replaces them, and their fault; no fault where they are replaced all the time."""
    before = _isolated_head(session, pk)
    items: list[Item] = []
    for _ in range(LOOKS):
        found = session.partition_items(session.table(PIPELINE_STEP), pk, PIPELINE_STEP.keys.sort.prefix)
        items = [item for item in found if PIPELINE_STEP.owns(item)]
        after = _isolated_head(session, pk)
        if before == after:
            return items, fault(items, _written(after))
        before = after
    return items, None


def _isolated_head(session: Session, pk: str) -> Item | None:
    """The head as no replacement is half way through writing it: an isolated read waits for its end."""
    key = _head_key(pk)
    try:
        return session.engine.get_isolated(session.table(CHAIN_HEAD), [key]).get(key)
    except (TableMissingError, AccessDeniedError):
        return None
