"""Rule sets: folders of JSON, one file a table, all mistakes found at once.

A file is an object of lists, `{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", ...}]}`, by the
entities' field names. Numbers are exact; a vendor schema may leave out its fingerprint, which follows from its columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from bluestar_store.checks.meaning import ALL, REFUSED, Checks
from bluestar_store.disk import read_plain
from bluestar_store.engines.checks import MAX_TRANSACTION_BYTES, checked_item, item_bytes
from bluestar_store.engines.exact_json import exact_json, pointer_part
from bluestar_store.errors import BlueStarError, InvalidKeyError, RuleSetProblem, SeedError, did_you_mean
from bluestar_store.keys import Key
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Derived, Mapper, reason_of
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import Item, key_of
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.changes import check_new, new_item
from bluestar_store.repositories.inherited import inherited_rule_error
from bluestar_store.repositories.pipeline_replacement import MAX_STEPS
from bluestar_store.repositories.trail import pipeline_head_key

E = TypeVar("E", bound=Entity)


def rule_files(kinds: Iterable[Mapper[Any]] = KINDS) -> Mapping[str, Mapping[str, Mapper[Any]]]:
    """The files of a rule set, one for each table that has rules, and the lists that each may hold."""
    files: dict[str, dict[str, Mapper[Any]]] = {}
    for mapper in kinds:
        if mapper.rule_list is not None:
            files.setdefault(f"{mapper.table}.json", {})[mapper.rule_list] = mapper
    return files


MAX_PROBLEMS = 100
"""Mistakes that are told at once."""


def too_many(problems: Sequence[RuleSetProblem]) -> list[RuleSetProblem]:
    """The first of them, and that there may be more."""
    last = problems[MAX_PROBLEMS - 1]
    return [*problems[:MAX_PROBLEMS], RuleSetProblem(last.file, "", "may have more: these are the first ones")]


@dataclass(frozen=True)
class RuleSet:
    """Valid entities, each identity once, in the order of the files.

    Raises InheritedRuleError for what was read for a plan that inherits it: a load would change it for every plan.
    """

    entities: tuple[Entity, ...] = ()

    def __post_init__(self) -> None:
        for entity in self.entities:
            if (plan_id := entity.inherited_by) is not None:
                raise inherited_rule_error(f"a {type(entity).__name__} of a rule set", entity, plan_id)

    def __len__(self) -> int:
        return len(self.entities)

    @without_locals
    def of(self, mapper: Mapper[E]) -> tuple[E, ...]:
        """The entities of one kind, in order."""
        return tuple(entity for entity in self.entities if type(entity) is mapper.entity)


@without_locals
def baseline(kinds: Iterable[Mapper[Any]] = KINDS) -> RuleSet:
    """The rule set that comes with the library: DEFAULT pipelines, GLOBAL rules, IRS limits; `kinds` as in `read`."""
    with resources.as_file(resources.files("bluestar_store.rulesets") / "baseline") as folder:
        return read(folder, kinds)


@without_locals
def read(folder: Path | str, kinds: Iterable[Mapper[Any]] = KINDS, *, checks: Checks = ALL) -> RuleSet:
    """The rule set in a folder. Raises SeedError with every problem of every file.

    `kinds` of a Store with users' own: `store.tables.kinds`. `checks` are those of meaning: `store.settings.checks`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SeedError([RuleSetProblem(str(folder), "", "is not a folder")])
    reader = RuleFilesReader(rule_files(kinds), checks)
    files = sorted(folder.glob("*.json"))
    if not files:
        reader.problem(str(folder), "", f"holds none of {', '.join(reader.files)}")
    for path in files:
        reader.read_file(path)
    reader.check_pipelines()
    if reader.problems:
        raise SeedError(reader.problems)
    return RuleSet(tuple(reader.entities))


class RuleFilesReader:
    """Collects entities and problems over all files."""

    def __init__(self, files: Mapping[str, Mapping[str, Mapper[Any]]], checks: Checks) -> None:
        self.files, self._checks = files, checks
        self.entities: list[Entity] = []
        self.problems: list[RuleSetProblem] = []
        self._places: dict[tuple[str, Key], str] = {}
        self._pipelines: dict[tuple[str, str], list[Item]] = {}

    def problem(self, file: str, pointer: str, reason: str) -> None:
        """Keep a mistake. Raises SeedError when there are so many that nobody reads them all."""
        self.problems.append(RuleSetProblem(file, pointer, reason))
        if len(self.problems) >= MAX_PROBLEMS:
            raise SeedError(too_many(self.problems))

    def read_file(self, path: Path) -> None:
        file = path.name
        if file not in self.files:
            self.problem(file, "", f"is no file of a rule set{nearest(file, self.files)}")
            return
        content = self.content(path)
        if content is not None:
            self.read_lists(file, self.files[file], content)

    def content(self, path: Path) -> Any:
        """The JSON in a file, numbers exact; None (and a problem) when there is none."""
        file = path.name
        try:
            content = exact_json(read_plain(path))
        except ValueError as error:
            self.problem(file, "", str(error))
        except OSError as error:
            self.problem(file, "", f"cannot be read: {error.strerror}")
        else:
            if content is None:
                self.problem(file, "", "is empty")
            return content
        return None

    def read_lists(self, file: str, lists: Mapping[str, Mapper[Any]], content: Any) -> None:
        """Entities out of an object of lists; `file` is what problems name."""
        if not isinstance(content, dict):
            self.problem(file, "", f"must be an object with {_names(lists)}")
            return
        for name, values in content.items():
            if name == "$schema":
                continue
            pointer = f"/{pointer_part(name)}"
            if name not in lists:
                self.problem(file, pointer, f"is not known here; expected {_names(lists)}")
            elif not isinstance(values, list):
                self.problem(file, pointer, "must be a list")
            else:
                for number, value in enumerate(values):
                    self._read_entity(file, f"{pointer}/{number}", lists[name], value)

    def _read_entity(self, file: str, pointer: str, mapper: Mapper[Any], value: Any) -> None:
        if not isinstance(value, dict):
            self.problem(file, pointer, "must be an object")
            return
        if mapper.derived is not None:
            value = self._with_derived(file, pointer, value, mapper.derived)
        try:
            entity = mapper.entity.model_validate(value)
        except ValidationError as error:
            for found in error.errors():
                place = "".join(f"/{pointer_part(str(part))}" for part in found["loc"])
                self.problem(file, pointer + place, _reason(mapper, found))
            return
        for finding in self._checks.findings(entity):
            if finding.level in REFUSED:
                self.problem(file, f"{pointer}/{finding.field}", finding.reason)
        try:
            # What a write would refuse is refused here, before anything is written.
            check_new(mapper, entity)
            item = checked_item(mapper.table, new_item(mapper, entity))
        except BlueStarError as error:
            self.problem(file, pointer, str(error))
            return
        key = key_of(item)
        if mapper.replaced_whole:
            self._pipelines.setdefault((entity.plan_id, entity.pay_freq), []).append(item)
        if (first := self._places.setdefault((mapper.name, key), pointer)) != pointer:
            self.problem(file, pointer, f"is the same as {first}: {key}")
            return
        self.entities.append(entity)

    def _with_derived(self, file: str, pointer: str, value: dict[str, Any], derived: Derived) -> dict[str, Any]:
        texts = value.get(derived.source)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return value
        try:
            right = derived.of(texts)
        except InvalidKeyError as error:
            self.problem(file, f"{pointer}/{derived.source}", str(error))
            return value
        if value.setdefault(derived.field, right) != right:
            reason = f"does not belong to the {derived.source}, whose {derived.field} is {right}"
            self.problem(file, f"{pointer}/{derived.field}", reason)
        return value

    def check_pipelines(self) -> None:
        """A pipeline is written in one transaction, and has to fit into it."""
        file, pointer = "processing-pipeline.json", "/steps"
        for (plan_id, pay_freq), items in self._pipelines.items():
            name = f"pipeline {plan_id} {pay_freq}"
            if len(items) > MAX_STEPS:
                self.problem(file, pointer, f"{name} has {len(items)} steps; {MAX_STEPS} fit into one transaction")
            if sum(map(item_bytes, items)) > MAX_TRANSACTION_BYTES:
                self.problem(file, pointer, f"{name} is over the 4 MB of one transaction (an AWS limit)")
            try:
                pipeline_head_key(items[0]["PK"]["S"])
            except InvalidKeyError as error:
                self.problem(file, pointer, f"{name}: {error}")


def _reason(mapper: Mapper[Any], found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return f"is no field of {mapper.entity.__name__}{nearest(str(found['loc'][-1]), mapper.entity.model_fields)}"
    if found["type"] == "missing":
        return "is missing"
    return reason_of(found)


def nearest(name: str, known: Mapping[str, Any]) -> str:
    return did_you_mean(name, known) or f"; expected {_names(known)}"


def _names(known: Mapping[str, Any]) -> str:
    return ", ".join(known)
