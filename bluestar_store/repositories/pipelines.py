"""Pipelines: read whole or not at all, written whole in one transaction.

A query is not isolated from a transaction, so each step carries the revision of the replacement that wrote it and the
number of its steps, which the head of the pipeline's trail has too. A reader that finds a mismatch reads again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from bluestar_store.deprecation import renamed
from bluestar_store.errors import (
    InvalidEntityError,
    ItemDecodeError,
    PipelineChangingError,
    PipelineNotFoundError,
)
from bluestar_store.keys import DEFAULT
from bluestar_store.mapping.salvage import salvaged
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION, PipelineStep, step_count
from bluestar_store.protocols import CacheKey, FailedRead, Item, Put
from bluestar_store.repositories.base import Reader, in_order
from bluestar_store.repositories.cache_answers import readable
from bluestar_store.repositories.changes import PlannedWrite, PutExpectation, Target, put_change
from bluestar_store.repositories.inherited import inherited
from bluestar_store.repositories.moments import Found, KeyRange, read_as_one, read_levels
from bluestar_store.repositories.pipeline_replacement import replace_steps, validated_steps
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import HasSessions
from bluestar_store.repositories.sources import PartitionSource
from bluestar_store.repositories.trail import STEP_COUNT, steps_written

MAX_ISOLATED = 100
"""Items of one isolated read (AWS limit)."""
READ_ATTEMPTS = 12
"""Reads of a pipeline that is being replaced; the last ones are up to half a second apart."""


class PipelineRepository(Reader[PipelineStep]):
    """Items of the table processing-pipeline."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, PIPELINE_STEP)
        self._whole = PipelineSource(store.sessions.outside, self.entities, self._first_of)

    def steps(
        self, plan_id: str, pay_freq: str, *, fallback: bool = True, fresh: bool = False
    ) -> tuple[PipelineStep, ...]:
        """The plan's own pipeline, else DEFAULT's, in step order, disabled steps too; never a part of one.

        Without `fallback` the plan's own only, empty when it has none. Raises PipelineNotFoundError when neither has
        one, PipelineChangingError when the steps keep disagreeing, InvalidKeyError.
        """
        levels = ((plan_id, pay_freq), (DEFAULT, pay_freq)) if fallback else ((plan_id, pay_freq),)
        here = None if fresh else self._here(levels)
        for level, found in zip(levels, here or self._fetched(levels, fresh=fresh), strict=False):
            if steps := readable(found):
                if level is levels[0]:
                    return steps
                keep = here is not None
                return self._derived.of(levels[0], steps, None, lambda steps, _: inherited(plan_id, steps), keep=keep)
        if not fallback:
            return ()
        raise self.not_found(f"no pipeline for plan {plan_id!r} nor {DEFAULT}, {pay_freq!r}")

    def reads_of(self, plan_id: str, stored: Sequence[PipelineStep]) -> Iterator[Callable[[], object]]:
        """See Reader: by pay frequency."""
        for pay_freq in sorted({step.pay_freq for step in stored}):
            yield partial(self.steps, plan_id, pay_freq)

    def effective(self, plan_id: str, like: Iterable[PipelineStep]) -> Iterable[PipelineStep]:
        """The pipelines of the pay frequencies: see `Repository.effective`."""
        for pay_freq in sorted({step.pay_freq for step in like}):
            with suppress(PipelineNotFoundError):
                yield from self.steps(plan_id, pay_freq, fresh=True)

    def stored_steps(self, plan_id: str, pay_freq: str) -> tuple[PipelineStep, ...]:
        """The plan's own steps as they lie there, in order, whether they are a whole pipeline or what is left of one.

        Of a step that cannot be read, what can be. For mending what `steps` refuses with PipelineChangingError or
        ItemDecodeError; never run a batch by it.
        """
        session = self._sessions.current()
        return in_order(session, self._mapper, self._as_one(session, self._pk(plan_id, pay_freq)), salvaged)

    def remains(self, plan_id: str, pay_freq: str) -> tuple[PipelineStep, ...]:
        """The old name of `stored_steps`."""
        warnings.warn("`remains` is `stored_steps` now", DeprecationWarning, stacklevel=3)
        return self.stored_steps(plan_id, pay_freq)

    def is_lost(self, plan_id: str, pay_freq: str) -> bool:
        """Whether another program deleted all steps of a pipeline that the library wrote; `remove` mends that too."""
        session = self._sessions.current()
        written = steps_written(session, self._pk(plan_id, pay_freq))  # first: one being made now is not lost
        return written > 0 and not self.stored_steps(plan_id, pay_freq)

    def replace(
        self,
        plan_id: str,
        pay_freq: str,
        steps: Sequence[PipelineStep],
        expected: PutExpectation = None,
        known: Sequence[PipelineStep] = (),
        *,
        actor: str | None = None,
    ) -> tuple[PipelineStep, ...]:
        """Make these the steps of the pipeline, in one transaction; returns them as stored, in order.

        Steps that were read from this pipeline are checked: when one was changed since, that is a
        VersionConflictError. Fresh steps replace whatever is there; with `expected` ABSENT nothing may be there
        (AlreadyExistsError). `known` steps, as they were read, are checked too, also those that go: when one was
        changed since, or there are others, that is a ConflictError. Attributes that others put on a step of the same
        number stay. `actor` is who writes, the setting's where none is given. Raises InvalidEntityError for no steps, a
        number twice, or more than 98 steps before and after, InheritedRuleError for DEFAULT's steps as a plan's
        pipeline: `[step.for_plan(plan_id) for step in steps]` are one.
        """
        wanted = validated_steps(self._sessions, plan_id, pay_freq, steps)
        if not wanted:
            raise InvalidEntityError("a pipeline without steps; use remove to fall back to DEFAULT's")
        return self.entities(replace_steps(self._sessions, actor, self._pk(plan_id, pay_freq), wanted, expected, known))

    def remove(
        self,
        plan_id: str,
        pay_freq: str,
        expected: PutExpectation = None,
        known: Sequence[PipelineStep] = (),
        *,
        actor: str | None = None,
    ) -> None:
        """Delete the pipeline, all steps in one transaction: a plan then falls back to DEFAULT's.

        No error when there is none. With `expected` ABSENT there may be no steps (AlreadyExistsError): for a pipeline
        that `is_lost`. `known` steps, as they were read, are checked: when one was changed since, or there are others,
        that is a ConflictError. `actor` as for `replace`.
        """
        replace_steps(self._sessions, actor, self._pk(plan_id, pay_freq), {}, expected, known)

    def put(self, step: PipelineStep, expected: PutExpectation = None, *, actor: str | None = None) -> PipelineStep:
        """Change one step that exists; see `Repository.put`. A step is added or taken away with `replace` only.

        Raises PipelineNotFoundError when there is no such step.
        """

        def plan(session: Session, target: Target[PipelineStep], current: Item | None) -> PlannedWrite:
            change = put_change(session, target, current)
            if isinstance(change.write, Put):
                raise self.not_found(
                    f"no step {step.step_order} of {step.plan_id!r}, {step.pay_freq!r} (pipelines.replace adds steps)"
                )
            return change

        return self._after(self._written(plan, self._to_put(step), expected, actor))

    def _pk(self, plan_id: str, pay_freq: str) -> str:
        return self._mapper.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})

    def _first_of(
        self, session: Session, pks: Sequence[str], *, every: bool = False
    ) -> list[tuple[PipelineStep, ...] | FailedRead]:
        """The first pipeline of these partitions that there is, whole, with the empty ones before it; or its error.

        One query after the other: a plan that has its own pays for no more. Unless the first one proves itself whole,
        all is as of one moment. What is whole can be what was there before a replacement that queries do not show yet:
        where one was heard of lately, all is as of one moment, too. `every`: read all, whether it seems to be needed or
        not.
        """
        parts = [KeyRange(session.table(self._mapper), pk, self._mapper.keys.sort.prefix) for pk in pks]
        read: list[KeyRange] = []

        def ask() -> Found:
            found: dict[KeyRange, list[Item]] = {}
            for part in parts:
                found[part] = session.partition(self._mapper, part.pk)
                if found[part] and not every:
                    break
            read[:] = found
            return Found(found)

        revisions = [session.revisions.of_level(self._level(pk)) for pk in pks]
        changed = any(map(session.changed_lately, self._mapper.partition_cache_keys(pks[0])))

        def proved(found: Found) -> bool:
            return not changed and self._agrees(found[parts[0]])

        found = read_as_one(session, revisions, ask, proved=proved)
        answers: list[tuple[PipelineStep, ...] | FailedRead] = []
        for part in parts:
            if part not in read:  # the one before seemed to be there, and is gone
                return self._first_of(session, pks, every=True)
            try:
                answers.append(self.whole(session, part.pk, found[part]))
            except (ItemDecodeError, PipelineChangingError) as error:
                answers.append(FailedRead(error))
            if answers[-1]:
                break
        return answers

    def _agrees(self, items: Sequence[Item]) -> bool:
        """Whether the steps prove themselves the whole of one replacement."""
        if not items or step_count(items[0]) != len(items):
            return False
        revision, count = items[0].get(REVISION), items[0].get(STEP_COUNT)
        stamps = [(item.get(REVISION), item.get(STEP_COUNT)) for item in items]
        return revision is not None and stamps.count((revision, count)) == len(stamps)

    def whole(self, session: Session, pk: str, items: Iterable[Item]) -> tuple[PipelineStep, ...]:
        """The whole pipeline of a partition, given one query's answer; reads again unless that proves itself whole."""
        try:
            return self.proved_whole(session, pk, items)
        except PipelineChangingError:
            return self.read_until_whole(session, pk)

    def proved_whole(
        self, session: Session, pk: str, items: Iterable[Item], *, settled: bool = False
    ) -> tuple[PipelineStep, ...]:
        """The whole pipeline in a query's answer; PipelineChangingError when it may be a part or a mixture.

        `settled`: all that the library changed of late is in it, so that the head may be a moment old.
        """
        return self._proved_steps(session, pk, self.entities(items), settled=settled)

    def read_until_whole(self, session: Session, pk: str) -> tuple[PipelineStep, ...]:
        """The pipeline once its steps agree."""
        from bluestar_store.retrying import attempts

        retrying = attempts(PipelineChangingError, most=READ_ATTEMPTS, first_seconds=0.005, longest_seconds=0.5)
        steps: tuple[PipelineStep, ...] = retrying(lambda: self.proved_whole(session, pk, self._as_one(session, pk)))
        return steps

    def _as_one(self, session: Session, pk: str) -> list[Item]:
        """What lies there, as of one moment where the library wrote it."""
        part = KeyRange(session.table(self._mapper), pk, self._mapper.keys.sort.prefix)
        return read_levels(session, [self._level(pk)], [part])[part]

    def _level(self, pk: str) -> str:
        return str((self._mapper.keys.partition_identity(pk) or {})["plan_id"])

    def _proved_steps(
        self, session: Session, pk: str, steps: tuple[PipelineStep, ...], *, settled: bool
    ) -> tuple[PipelineStep, ...]:
        """The steps when they are a whole pipeline; PipelineChangingError when they may be a part or a mixture."""
        ours = [step for step in steps if step.revision is not None]
        if ours and len(ours) == len(steps) and _agree(ours):
            return steps
        # No step, or steps of other programs: unless the library writes here, nobody could be in the middle of it.
        written = steps_written(session, pk, consistent=not settled)
        if not ours and written == 0:
            return steps
        return self._as_of_one_moment(session, pk, steps, written)

    def _as_of_one_moment(
        self, session: Session, pk: str, steps: tuple[PipelineStep, ...], written: int
    ) -> tuple[PipelineStep, ...]:
        """Other programs may have added or overwritten steps of ours: that looks the same in an isolated read."""
        table = session.table(self._mapper)
        keys = [step.origin.key for step in steps if step.origin is not None][:MAX_ISOLATED]
        seen = self.entities(session.engine.get_isolated(table, keys).values())
        ours = [step for step in seen if step.revision is not None]
        needed = ours[0].pipeline_length or 0 if ours else written
        if len({step.revision for step in ours}) <= 1 and len(steps) == len(seen) >= needed:
            return seen
        raise PipelineChangingError(
            f"{table}: the steps of {pk} ({len(steps)} found) are not those of one revision; when nobody is replacing "
            "the pipeline right now, another program took steps away: write it again with pipelines.replace, or "
            "pipelines.remove it"
        )


class PipelineSource(PartitionSource[PipelineStep]):
    """Pipelines of which the first that there is is the answer: those of the levels after it are not even read."""

    def __init__(
        self,
        session: Session,
        in_order: Callable[[Iterable[Item]], tuple[PipelineStep, ...]],
        first_of: Callable[[Session, Sequence[str]], list[tuple[PipelineStep, ...] | FailedRead]],
    ) -> None:
        super().__init__(session, PIPELINE_STEP, in_order)
        self._first_of = first_of

    def settles(self, value: tuple[PipelineStep, ...]) -> bool:
        """See Source."""
        return bool(value)

    def load(self, cache_keys: Sequence[CacheKey]) -> Mapping[CacheKey, tuple[PipelineStep, ...] | FailedRead]:
        """As many as it takes."""
        return dict(zip(cache_keys, self._first_of(self._session, list(map(self.pk, cache_keys))), strict=False))


def _agree(steps: Sequence[PipelineStep]) -> bool:
    """Whether steps that all have a revision are the whole of one replacement."""
    return len({step.revision for step in steps}) == 1 and len(steps) == steps[0].pipeline_length


__getattr__ = renamed(__name__, {"Pipelines": f"{__name__}:PipelineRepository"})  # for one release
