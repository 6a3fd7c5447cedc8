"""The file of a saved plan: its content, its digest, and the checks of a file that a stranger may have written."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bluestar_store.disk import read_plain
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.engines.item_json import to_json
from bluestar_store.errors import PlanRefusedError, RuleSetProblem
from bluestar_store.mapping.mapper import reason_of
from bluestar_store.mapping.values import Actor, UtcTime, utc_text
from bluestar_store.whole_files import write_whole

FORMAT = 2
"""1 is that of 0.1.0: it has no digest and names no store."""
MAX_PLAN_BYTES = 32 * 1024 * 1024
"""A plan is in memory as a whole: some 50,000 rules."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class PlannedStore(_Shape):
    """The store that a plan was made for: where, in words, and the identity of each table that it writes, by name."""

    location: str
    tables: Mapping[str, str]


class Proposal(_Shape):
    """Who made a plan (None: nobody said), and when."""

    actor: Actor | None
    at: UtcTime


class PlannedPart(_Shape):
    """What is written together: items as wanted, and as they were stored when the plan was made."""

    kind: str
    outcome: str
    wanted: list[dict[str, Any]]
    stored: list[dict[str, Any]]


class PlanFile(_Shape):
    """The content of a plan. `digest` covers the rest; the `salt` keeps values from being guessed by the digest."""

    format: int
    digest: str
    salt: str
    store: PlannedStore
    proposed: Proposal
    parts: list[PlannedPart]


def write_plan(
    path: Path,
    store: PlannedStore,
    actor: str | None,
    at: datetime,
    parts: list[dict[str, Any]],
    *,
    before_write: Callable[[str], None],
) -> str:
    """Write the file of a plan, an entry a line for people to read; replaces it whole. Returns the digest.

    `before_write` is called with the digest, once the plan is known to be one that can be written. Raises OSError, what
    `before_write` raises, and PlanRefusedError for a plan that would be too large to be read.
    """
    head: dict[str, Any] = {
        "format": FORMAT,
        "salt": secrets.token_hex(16),
        "store": store.model_dump(),
        "proposed": {"actor": actor, "at": utc_text(at)},
    }
    lines = [to_json(part) for part in parts]
    digest = _digest(head | {"parts": [json.loads(line) for line in lines]})
    begin = to_json({"format": FORMAT, "digest": digest} | head)
    content = (begin.removesuffix("}") + ',"parts":[\n' + ",\n".join(lines) + "\n]}\n").encode()
    if len(content) > MAX_PLAN_BYTES:
        size = f"{len(content) // 1024**2} MB, over the {MAX_PLAN_BYTES // 1024**2} MB of a plan"
        raise refusal(path, f"would take {size}: plan a part of the rule set at a time")
    before_write(digest)
    write_whole(path, content, most=0o600)  # bank numbers are whole in it
    return digest


def read_plan(path: Path) -> PlanFile:
    """The plan in a file, which is as it was written. Raises PlanRefusedError."""
    try:
        content = exact_json(read_plain(path, MAX_PLAN_BYTES))
        found = content.get("format") if isinstance(content, dict) else None
        if found == 1:
            raise refusal(path, "was made by bluestar-store 0.1.0 and names no store: make it again with seed --plan")
        if found != FORMAT:
            raise ValueError("another format" if isinstance(found, int) else "no format")
        plan = PlanFile.model_validate(content)
        right = _digest({name: value for name, value in content.items() if name != "digest"})
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))[:80]
        raise no_plan(path, f"{place}: {reason_of(first)}") from None
    except RecursionError:
        raise no_plan(path, "is nested too deeply") from None
    except (ValueError, TypeError) as error:
        raise no_plan(path, str(error)) from None
    if plan.digest != right:
        raise refusal(path, "was altered since it was made: what it says has another digest than it names")
    return plan


def no_plan(path: Path, reason: str) -> PlanRefusedError:
    """The error for a file that is no plan at all."""
    return refusal(path, f"is no plan of this version of bluestar-store ({reason[:300]})")


def refusal(path: Path, reason: str) -> PlanRefusedError:
    """The error for a plan that is not applied."""
    return PlanRefusedError([RuleSetProblem(str(path), "", reason)])


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
