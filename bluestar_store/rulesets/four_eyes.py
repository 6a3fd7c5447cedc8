"""Four eyes: a plan is applied by another actor than the one who proposed it in this store.

The file of a plan is its proposer's, who may write any name into it and give it a new digest. So where the setting
demands two, who proposed which digest is an entry in a trail of the store, made when the plan is saved, and a plan
without one is refused. An actor is who the settings say: that has to be set where people cannot.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

from bluestar_store.keys import shown
from bluestar_store.models.audit import Trail
from bluestar_store.rulesets.compare import Target
from bluestar_store.rulesets.load import LOADS
from bluestar_store.rulesets.plan_file import PlanFile, refusal

PROPOSALS = Trail(table=LOADS.table, partition="PROPOSALS")
"""The trail that has one entry for each plan that was proposed where four eyes are demanded."""
PROPOSE = "propose"


def acting(store: Target, actor: str | None) -> str | None:
    """Who acts: the setting's actor where none is given."""
    return store.settings.actor if actor is None else actor


def is_person(actor: str | None) -> bool:
    """Whether an actor has a name to tell it from others by."""
    return actor is not None and bool(_person(actor))


def record_proposal(store: Target, digest: str, actor: str | None) -> None:
    """Append an entry that says who proposes the plan of this digest."""
    store.audit.append(PROPOSALS, action=PROPOSE, actor=actor, details={"plan": digest})


def check_proposal(store: Target, path: Path, plan: PlanFile, actor: str | None) -> None:
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
