"""Changing one thing at a time: a rule, a year's limits, a configuration, a vendor's schema, a pipeline.

Each function gives the Part to look at before `write_part` (see `loading`) writes it, checked against the versions that
were read here. Nothing in this module writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bluestar_store.checks.meaning import ALL, REFUSED, Checks
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.errors import InvalidEntityError, RuleSetProblem, SeedError
from bluestar_store.keys import shown
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper, reason_of
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.vendor import VendorSchema
from bluestar_store.redaction.masking import MaskedText
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.changes import check_new
from bluestar_store.rulesets.comparing import Action, Entry, Part, RuleStore, part_of, pipeline_part, repositories
from bluestar_store.rulesets.meaning import changed_findings
from bluestar_store.rulesets.reading import RuleFilesReader, nearest

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")
_TEXTS = (str, MaskedText, Decimal, datetime)
"""Types whose fields take text as it is: numbers stay exact."""


@without_locals
def values_of(mapper: Mapper[Any], texts: Iterable[str]) -> dict[str, Any]:
    """`["max_pct=5.50", "age_threshold=null"]` as values of the entity's fields; null takes a value away.

    Whole numbers, `true` and `false` are meant as such, lists and mappings are JSON, everything else is text. Raises
    InvalidEntityError with every mistake; it never shows a value, which may be a bank number.
    """
    known = {name: field for name, field in mapper.entity.model_fields.items() if name not in mapper.keys.fields}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for number, text in enumerate(texts, 1):
        name, separator, value = text.partition("=")
        if not separator:
            problems.append(f"the {_ordinal(number)} is not KEY=VALUE")
        elif name in mapper.keys.fields:
            problems.append(f"{name} is a part of the key and cannot be changed")
        elif name not in known:
            problems.append(f"{shown(name)} is no field of {mapper.entity.__name__}{nearest(name, known)}")
        elif name in values:
            problems.append(f"{name} is given twice")
        else:
            try:
                values[name] = _value(known[name], value)
            except ValueError as error:
                problems.append(f"{name} {error}")
    if problems:
        raise InvalidEntityError("; ".join(problems))
    return values


@without_locals
def changed(store: RuleStore, mapper: Mapper[Any], identity: Mapping[str, Any], values: Mapping[str, Any]) -> Part:
    """The stored entity with these values in place of its own; a new one where none is stored.

    What cannot be read of a stored item is taken away, or written over. Raises InvalidKeyError, InvalidEntityError, and
    ItemDecodeError for an item of which nothing can be read.
    """
    stored = _stored(store, mapper, identity)
    entity = (stored or mapper.entity(**identity)).model_copy(update=dict(values))
    if stored is None and (created := mapper.created) is not None and created not in values:
        entity = entity.model_copy(update={created: store.clock.now()})
    wanted = mapper.validated(entity)
    if stored is None:
        check_new(mapper, wanted)
    problems = [str(found) for found in changed_findings(store, wanted, stored) if found.level in REFUSED]
    problems += _derived_problems(mapper, wanted, stored)
    if problems:
        raise InvalidEntityError("; ".join(problems))
    return part_of(mapper, wanted, stored)


@without_locals
def deleted(store: RuleStore, mapper: Mapper[Any], identity: Mapping[str, Any]) -> Part:
    """The stored entity, to be deleted. Raises the kind's NotFoundError when there is none."""
    stored = _stored(store, mapper, identity)
    if stored is None:
        place = mapper.keys.build(identity)
        raise mapper.missing(f"no {mapper.name} {place.pk} {place.sk} is stored")
    return part_of(mapper, None, stored)


@without_locals
def replaced_pipeline(store: RuleStore, plan_id: str, pay_freq: str, steps: tuple[PipelineStep, ...]) -> Part:
    """These steps in place of the pipeline's own; a new pipeline where the plan has none."""
    return pipeline_part(store, plan_id, pay_freq, steps)


@without_locals
def removed_pipeline(store: RuleStore, plan_id: str, pay_freq: str) -> Part:
    """The plan's own pipeline, to be removed whole. Raises PipelineNotFoundError when it has no step to look at."""
    part = pipeline_part(store, plan_id, pay_freq, ())
    if not part.stored:
        raise PIPELINE_STEP.missing(f"{plan_id} has no pipeline of its own for {pay_freq}")
    return part


@without_locals
def lost_pipeline(store: RuleStore, plan_id: str, pay_freq: str) -> Entry | None:
    """What `pipelines.remove` with `expected` ABSENT takes away where a pipeline `is_lost`; None where none is."""
    if not store.pipelines.is_lost(plan_id, pay_freq):
        return None
    pk = PIPELINE_STEP.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})
    return Entry(PIPELINE_STEP.name, pk, plan_id, Action.REMOVE)


@without_locals
def read_steps(path: Path, plan_id: str, pay_freq: str, checks: Checks = ALL) -> tuple[PipelineStep, ...]:
    """The steps in a file like processing-pipeline.json, in step order; they may leave out plan_id and pay_freq.

    Raises SeedError with every mistake, InvalidKeyError.
    """
    PIPELINE_STEP.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})
    reader = RuleFilesReader({}, checks)
    content = reader.content(path)
    if isinstance(content, dict) and isinstance(content.get("steps"), list):
        belongs = {"plan_id": plan_id, "pay_freq": pay_freq}
        content["steps"] = [belongs | step if isinstance(step, dict) else step for step in content["steps"]]
    if content is not None:
        reader.read_lists(path.name, {"steps": PIPELINE_STEP}, content)
    steps = [entity for entity in reader.entities if isinstance(entity, PipelineStep)]
    for step in steps:
        if (step.plan_id, step.pay_freq) != (plan_id, pay_freq):
            reason = f"step {step.step_order} is of {step.plan_id} {step.pay_freq}, not of {plan_id} {pay_freq}"
            reader.problem(path.name, "/steps", reason)
    if not steps and not reader.problems:
        reader.problem(path.name, "", 'holds no steps: expected {"steps": [{"step_order": 100, ...}, ...]}')
    reader.check_pipelines()
    if reader.problems:
        raise SeedError(reader.problems)
    return tuple(sorted(steps, key=lambda step: step.step_order))


@without_locals
def read_columns(path: Path) -> dict[str, Any]:
    """`columns` and `mapping` of a vendor schema, from a JSON file with one of them or both. Raises SeedError."""
    reader = RuleFilesReader({}, ALL)
    content = reader.content(path)
    values: dict[str, Any] = {}
    if isinstance(content, dict):
        for name, value in content.items():
            if name in ("columns", "mapping"):
                try:
                    values[name] = _adapted(VendorSchema.model_fields[name], value)
                except ValueError as error:
                    reader.problem(path.name, f"/{name}", str(error))
            elif name != "$schema":
                reader.problem(path.name, f"/{name}", "is not known here; expected columns, mapping")
    if not values and not reader.problems:
        reader.problem(path.name, "", "must be an object with columns, mapping or both")
    if reader.problems:
        raise SeedError([RuleSetProblem(str(path), one.pointer, one.reason) for one in reader.problems])
    return values


def _stored(store: RuleStore, mapper: Mapper[Any], identity: Mapping[str, Any]) -> Any:
    key = mapper.keys.build(identity)
    return repositories(store)[mapper.name].current([mapper.entity(**identity)], salvage=True).get(key)


def _derived_problems(mapper: Mapper[Any], wanted: Entity, stored: Entity | None) -> list[str]:
    """A field of the key has what follows from its source; what others stored elsewhere may stay there."""
    if (derived := mapper.derived) is None:
        return []
    source, unchanged = getattr(wanted, derived.source), getattr(stored, derived.source, None)
    if not source or source == unchanged or getattr(wanted, derived.field) == (right := derived.of(source)):
        return []
    return [f"{derived.field} does not belong to the {derived.source}, whose {derived.field} is {right}"]


def _value(field: FieldInfo, text: str) -> Any:
    """The text as a value of a field; ValueError, without the value, when it is none."""
    wanted = _type_of(field.annotation)
    if text == "null":
        if NoneType not in get_args(field.annotation):
            raise ValueError("always has a value and cannot be taken away")
        return None
    if wanted is bool:
        if text not in ("true", "false"):
            raise ValueError("is either true or false")
        return text == "true"
    if wanted is int:
        if not _WHOLE_NUMBER.fullmatch(text):
            raise ValueError("is a whole number")
        return _adapted(field, int(text))
    return _adapted(field, text if wanted in _TEXTS else _from_json(text))


def _type_of(annotation: Any) -> Any:
    """The type under Annotated and `| None`."""
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        return _type_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _type_of(next(one for one in get_args(annotation) if one is not NoneType))
    return origin or annotation


def _adapted(field: FieldInfo, value: Any) -> Any:
    """The value as pydantic takes it for the field; ValueError, without the value, when it does not."""
    annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    try:
        return TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(reason_of(first)) from None


def _from_json(text: str) -> Any:
    try:
        return exact_json(text.encode())
    except ValueError:
        raise ValueError("is no JSON") from None


def _ordinal(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
