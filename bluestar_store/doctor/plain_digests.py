"""Digests of masked values without a key, as release 0.1.0 made them: a reader can find the value by trying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.item_states import SIDES, ItemStates, Named, changed_to, plain_digest
from bluestar_store.doctor.reading import Seen
from bluestar_store.keys import Key
from bluestar_store.models.audit import SALT, AuditEntry
from bluestar_store.models.batches import BatchRules, StepResult
from bluestar_store.models.digest_keys import key_named_in
from bluestar_store.redaction.masking import has_secret, has_secrets
from bluestar_store.repositories.session import Session

Made = tuple[Named, str, Mapping[str, Any]]
"""An item, a digest of what it said once, and as much of that as is told beside."""


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each batch, each entry of a trail and each result that has such a digest.

    Whether an item had something that is shown masked is known of its kind, else from what is there by now and from
    what its trail says of the changes since, and, of a change, from what it changed: what an item lost that is deleted
    is not known.
    """
    plain = [(one, list(_plainly_named(one.entity))) for one in page]
    states = ItemStates(session, {named for _, made in plain for named, _, _ in made})
    for one, made in plain:
        told = any(states.hid(named, text) or states.hides(named, said) for named, text, said in made)
        if not told and not _is_plain_beside(one.entity):
            continue
        what = (
            "has a digest that takes no key of what is shown masked, such as a bank account: whoever reads it can find "
            "the number by trying"
        )
        mend = (
            "nothing, for what is pinned and chained stays: let nobody read it who may not read the number "
            "(docs/upgrading.md says more)"
        )
        yield one.finding(Severity.INFO, "digest-plain", what, mend)


def _plainly_named(entity: Any) -> Iterator[Made]:
    """The digests in this one that take no key, and of what they are."""
    match entity:
        case BatchRules(items=items) if items is not None:
            for name, made in items.items():
                if key_named_in(made) is None:
                    yield (name.partition("/")[0], _key(name)), made, {}
        case AuditEntry(table=str(table), partition=str(partition), details=Mapping() as details):
            for when in SIDES:
                if (found := plain_digest(details, when)) is not None:
                    yield (table, Key(partition, str(details.get("item")))), found, changed_to(details, when)


def _is_plain_beside(entity: Any) -> bool:
    """Whether an entity has a digest that takes neither key nor salt of what it says itself."""
    match entity:
        case StepResult(result=result, digest=str(made)):
            return key_named_in(made) is None and has_secret("result", result)
        case AuditEntry(hash=str(), details=details):
            return SALT not in entity.extra and has_secrets({"details": details})
    return False


def _key(name: str) -> Key:
    """The key in `{table}/{PK}/{SK}`; a partition key may have a `/` of its own, sort keys of these kinds have none."""
    pk, _, sk = name.partition("/")[2].rpartition("/")
    return Key(pk, sk)
