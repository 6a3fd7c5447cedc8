"""Pipelines: read whole or not at all, written whole in one transaction.

A query is not isolated from a transaction, so each step carries the revision of the replacement that wrote it and the
number of its steps. A reader who sees them disagree reads again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from bluestar_store.errors import InvalidEntityError, PipelineChangingError
from bluestar_store.keys import DEFAULT
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.protocols import Item, Put
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.base import Reader, readable
from bluestar_store.repositories.changes import PutExpectation, put_change
from bluestar_store.repositories.pipeline_replacement import replace_steps, validated_steps

MAX_ISOLATED = 100
"""Items of one isolated read (AWS limit)."""
READ_ATTEMPTS = 12
"""Reads of a pipeline that is being replaced; the last ones are up to half a second apart."""


class Pipelines(Reader[PipelineStep]):
    """See DESIGN 2, processing-pipeline."""

    def __init__(self, access: Access) -> None:
        super().__init__(access, PIPELINE_STEP)

    def steps(
        self, plan_id: str, pay_freq: str, *, fallback: bool = True, fresh: bool = False
    ) -> tuple[PipelineStep, ...]:
        """The plan's own pipeline, else DEFAULT's, in step order, disabled steps too; never a part of one.

        Without `fallback` the plan's own only, empty when it has none. Raises PipelineNotFoundError when neither has
        one, PipelineChangingError when the steps keep disagreeing, InvalidKeyError.
        """
        levels = dict.fromkeys((plan_id, DEFAULT)) if fallback else (plan_id,)
        pks = [self._pk(level, pay_freq) for level in levels]
        for found in self._partitions(pks, fresh=fresh):
            if steps := readable(found):
                return steps
        if not fallback:
            return ()
        raise self._missing(f"no pipeline for plan {plan_id!r} nor {DEFAULT}, {pay_freq!r}")

    def replace(
        self, plan_id: str, pay_freq: str, steps: Sequence[PipelineStep], expected: PutExpectation = None
    ) -> tuple[PipelineStep, ...]:
        """Make these the steps of the pipeline, in one transaction; returns them as stored, in order.

        Steps that were read from this pipeline are checked: when one was changed since, that is a
        VersionConflictError. Fresh steps replace whatever is there; with `expected` ABSENT nothing may be there
        (AlreadyExistsError). Attributes that others put on a step of the same
        number stay. Raises InvalidEntityError for no steps, a number twice, or more than 99 steps before and after.
        """
        wanted = validated_steps(plan_id, pay_freq, steps)
        if not wanted:
            raise InvalidEntityError("a pipeline without steps; use remove to fall back to DEFAULT's")
        return self._in_order(replace_steps(self._access, self._pk(plan_id, pay_freq), wanted, expected))

    def remove(self, plan_id: str, pay_freq: str, known: Sequence[PipelineStep] = ()) -> None:
        """Delete the pipeline, all steps in one transaction: a plan then falls back to DEFAULT's.

        No error when there is none. `known` steps, as they were read, are checked: when one was changed since, or
        there are others, that is a ConflictError.
        """
        replace_steps(self._access, self._pk(plan_id, pay_freq), {}, known=known)

    def put(self, step: PipelineStep, expected: PutExpectation = None) -> PipelineStep:
        """Change one step that exists; see `Repository.put`. A step is added or taken away with `replace` only.

        Raises PipelineNotFoundError when there is no such step.
        """
        change = put_change(self._access, self._kind, step, expected)
        if isinstance(change.write, Put):
            raise self._missing(
                f"no step {step.step_order} of {step.plan_id!r}, {step.pay_freq!r} (pipelines.replace adds steps)"
            )
        with self._access.cache.writing(self._units(change.write.key)):
            self._access.engine.write(change.write)
        return self._decode(change.after)

    def _pk(self, plan_id: str, pay_freq: str) -> str:
        return self._kind.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})

    def _load(self, pk: str) -> tuple[PipelineStep, ...]:
        """One pipeline, whole. Reads again, consistently, when the first answer does not prove itself whole."""
        return self.whole(pk, self._access.partition(self._kind, pk))

    def whole(self, pk: str, items: Iterable[Item]) -> tuple[PipelineStep, ...]:
        """The whole pipeline of a partition, given one query's answer; reads again unless that proves itself whole."""
        steps = self._in_order(items)
        return steps if steps and self._is_whole(steps) else self._load_again(pk)

    def _is_whole(self, steps: Sequence[PipelineStep]) -> bool:
        """Whether these can be taken as they are: all of one replacement, or none of the library's."""
        revisions = {step.revision for step in steps}
        return revisions == {None} or (len(revisions) == 1 and len(steps) == steps[0].pipeline_length)

    def _load_again(self, pk: str) -> tuple[PipelineStep, ...]:
        """The pipeline once its steps agree; empty when it is empty now.

        Also asked about an empty answer: between the deletes and the puts of a transaction that shares no step with
        what was there, a query may see nothing.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(PipelineChangingError),
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.005, max=0.5),
            reraise=True,
        )
        steps: tuple[PipelineStep, ...] = retrying(self._load_consistently, pk)
        return steps

    def _load_consistently(self, pk: str) -> tuple[PipelineStep, ...]:
        steps = super()._load(pk)
        if not steps or self._is_whole(steps):
            return steps
        # Other programs may have overwritten or added steps of ours: what was seen, as of one moment, tells that from
        # a replacement under way.
        table = self._access.table(self._kind)
        keys = [step.origin.key for step in steps if step.origin is not None][:MAX_ISOLATED]
        seen = self._in_order(self._access.engine.get_isolated(table, keys).values())
        revisions = {step.revision for step in seen if step.revision is not None}
        ours = [step for step in seen if step.revision is not None]
        complete = len(seen) == len(steps) and len(revisions) == 1 and len(seen) >= (ours[0].pipeline_length or 0)
        if complete and len(ours) < len(seen):
            return seen
        raise PipelineChangingError(
            f"{table}: the steps of {pk} do not belong to one revision ({len(steps)} found); when nobody is replacing "
            "the pipeline right now, another program took steps away: write it again with pipelines.replace"
        )
