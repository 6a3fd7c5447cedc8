"""The base of all entities: frozen values that remember where they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self, TypeVar

from immutabledict import immutabledict
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from bluestar_store.keys import DEFAULT, GLOBAL, Key, check_plan
from bluestar_store.mapping.sealed import lost_in
from bluestar_store.protocols import ACTOR, Item
from bluestar_store.redaction.masking import as_masked, redacted, sensitive_fields
from bluestar_store.redaction.names import shown_key_fields


class Scope(StrEnum):
    """The level that an answer came from."""

    CLIENT = "CLIENT"
    GLOBAL = "GLOBAL"
    DEFAULT = "DEFAULT"


T = TypeVar("T")

_set = object.__setattr__


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Origin:
    """Where an entity was read: the item as it was on disk, its version (0: none) and its unknown attributes.

    `stale`: it was given past its time, because the engine failed.

    The repr leaves the attributes out: one of them may be a bank account number.
    """

    wire: Item
    version: int
    extra: Mapping[str, Any]
    stale: bool = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Origin):
            return NotImplemented
        return (self.wire, self.version, self.extra, self.stale) == (
            other.wire,
            other.version,
            other.extra,
            other.stale,
        )

    __hash__ = None  # type: ignore[assignment]  # its item is a dictionary

    def as_stale(self) -> Origin:
        """The same, given past its time."""
        return Origin(self.wire, self.version, self.extra, True)

    def __reduce__(self) -> tuple[Any, ...]:
        return Origin, (self.wire, self.version, self.extra, self.stale)

    def __repr__(self) -> str:
        return f"Origin(version={self.version!r}, stale={self.stale!r})"

    @property
    def key(self) -> Key:
        """The raw key, whatever its width."""
        return Key(self.wire["PK"]["S"], self.wire["SK"]["S"])

    @property
    def item(self) -> Item:
        """The item as it was on disk; a copy, and the caller's own. `wire` is shared with everybody who read it."""
        return deepcopy(self.wire)


READ_OF_AN_ITEM = tuple(one.name for one in fields(Origin))


class UnreadOrigin(Origin):
    """Where an entity was read by a reader of its fields alone: the rest is read when somebody asks for it."""

    __slots__ = ("_source",)
    _source: tuple[Callable[[bytes], Origin], bytes]

    def __init__(self, read: Callable[[bytes], Origin], data: bytes) -> None:
        _set(self, "_source", (read, data))  # no more than that: every hit in Redis makes one

    @property
    def data(self) -> bytes:
        """What the rest is read from."""
        return self._source[1]

    def __getattr__(self, name: str) -> Any:
        """Of a slot that is empty yet."""
        if name not in READ_OF_AN_ITEM:
            raise AttributeError(name)
        read, data = self._source
        origin = read(data)  # two threads at once read the same
        for slot in READ_OF_AN_ITEM:
            _set(self, slot, getattr(origin, slot))
        return getattr(origin, name)


class Entity(BaseModel):
    """A deeply immutable value. Change one with `model_copy(update=...)`; a write validates it again.

    Two entities are equal when their fields and their `extra` are; where and when they were read does not count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    # No PrivateAttr, which pydantic sets up by Python code for every entity that is read: half of what reading costs.
    __slots__ = ("_inherited_by", "_origin")

    if TYPE_CHECKING:
        _inherited_by: str | None

        @property
        def origin(self) -> Origin | None:
            """Where this entity was read; None for one made by hand."""

    else:
        origin = property(attrgetter("_origin"))  # every read and write asks for it: without a call of ours

        def __getattr__(self, name: str) -> Any:
            if name in Entity.__slots__:  # of one made by hand
                return None
            return super().__getattr__(name)

        def __init__(self, /, **data: Any) -> None:
            try:
                super().__init__(**data)
                return
            except ValidationError as error:
                found = _without_values(error)
            data.clear()  # a traceback may show them
            raise found

        __init__.__pydantic_base_init__ = True  # pydantic itself makes entities without it

        @classmethod
        def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
            """As pydantic's; texts of sensitive fields are masked."""
            return super().model_construct(_fields_set, **cls._masked(values))

        @classmethod
        def model_validate(cls, obj: Any, **options: Any) -> Self:
            values, obj = [obj], None
            return _quietly(super().model_validate, values, options)

        @classmethod
        def model_validate_json(cls, json_data: Any, **options: Any) -> Self:
            values, json_data = [json_data], None
            return _quietly(super().model_validate_json, values, options)

        @classmethod
        def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
            values, obj = [obj], None
            return _quietly(super().model_validate_strings, values, options)

    def read_from(self, origin: Origin | None) -> Self:
        """This entity, which from now on remembers where it was read: for those who decode and copy."""
        object.__setattr__(self, "_origin", origin)
        return self

    @property
    def inherited_by(self) -> str | None:
        """The plan that was asked for when this was read, and has none of its own; None for what was read by name.

        It is every plan's that has none of its own: `put` and `delete` refuse it with an InheritedRuleError.
        """
        return self._inherited_by

    def inherited_as(self, plan_id: str | None) -> Self:
        """The same entity as this plan inherits it; None: as it is read by name. Values and origin are shared."""
        made = type(self).__new__(type(self))
        _set(made, "__dict__", self.__dict__)
        _set(made, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        _set(made, "__pydantic_extra__", self.__pydantic_extra__)
        _set(made, "__pydantic_private__", self.__pydantic_private__)
        _set(made, "_origin", self.origin)
        _set(made, "_inherited_by", plan_id)
        return made

    def _as_read(self, other: Entity) -> Self:
        """This copy of another, which from now on knows the same of where it was read."""
        _set(self, "_inherited_by", other._inherited_by)  # the same class
        return self.read_from(other.origin)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's: a write looks at the new values first. Texts of sensitive fields are masked."""
        return super().model_copy(update=None if update is None else self._masked(update), deep=deep)

    @classmethod
    def _masked(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        hidden = sensitive_fields(cls)
        return {name: as_masked(value) if name in hidden else value for name, value in values.items()}

    def __copy__(self) -> Self:
        return super().__copy__()._as_read(self)  # noqa: SLF001  # the same class

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return super().__deepcopy__(memo)._as_read(self)  # noqa: SLF001  # the same class

    def __getstate__(self) -> dict[Any, Any]:
        inherited = {} if self.inherited_by is None else {"inherited_by": self.inherited_by}
        return {**super().__getstate__(), "origin": self.origin, **inherited}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self.read_from(state["origin"])
        _set(self, "_inherited_by", state.get("inherited_by"))

    @property
    def version(self) -> int | None:
        """The version it was read at, 0 for an item that other programs wrote without one; None if not read."""
        origin = self.origin
        return origin.version if origin else None

    @property
    def written_by(self) -> str | None:
        """Who wrote the item last, when the library wrote it with a `BLUESTAR_ACTOR`; other programs do not say."""
        origin = self.origin
        return origin.wire.get(ACTOR, {}).get("S") if origin else None

    @property
    def stale(self) -> bool:
        """Whether this was given past its time, because the engine failed: see `cache_stale_if_error_seconds`."""
        origin = self.origin
        return origin is not None and origin.stale

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Attributes on the item whose key was dropped: in a history they are None. Else reading them is an error."""
        origin = self.origin
        return lost_in(origin.wire) if origin else ()

    @property
    def extra(self) -> Mapping[str, Any]:
        """The attributes on the item that the entity does not know: numbers as Decimal, containers immutable."""
        origin = self.origin
        return origin.extra if origin else immutabledict()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        key_fields = shown_key_fields(type(self))
        for name, value in super().__repr_args__():
            name = name or ""
            hidden = value is not None and name in sensitive_fields(type(self))
            shown = not hidden and name in key_fields
            yield name, value if shown else redacted(name, value, numbers=False, secret=hidden)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entity):
            return NotImplemented
        return type(self) is type(other) and self.__dict__ == other.__dict__ and self.extra == other.extra

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))


def _quietly(validate: Callable[..., T], values: list[Any], options: Mapping[str, Any]) -> T:
    """What is valid; else an error that keeps no value, nor do the frames that it came through."""
    try:
        return validate(values.pop(), **options)
    except ValidationError as error:
        found = _without_values(error)
    raise found


def _without_values(error: ValidationError) -> ValidationError:
    """The same mistakes, in an error that keeps no value: it may be logged with its details, or pickled."""
    lines: list[Any] = [
        {"type": PydanticCustomError(one["type"], one["msg"]), "loc": one["loc"]}
        for one in error.errors(include_input=False, include_context=False, include_url=False)
    ]
    return ValidationError.from_exception_data(error.title, lines, hide_input=True)


class PlanEntity(Entity):
    """An entity that a plan may have of its own, or share with every plan."""

    plan_id: str

    @property
    def scope(self) -> Scope:
        """CLIENT for a plan's own, else the level that every plan falls back to."""
        return Scope(self.plan_id) if self.plan_id in (GLOBAL, DEFAULT) else Scope.CLIENT

    @property
    def inherited_by(self) -> str | None:
        """See Entity; a copy that names a plan of its own is that plan's."""
        plan_id = self._inherited_by
        return plan_id if plan_id is not None and self.scope is not Scope.CLIENT else None

    def for_plan(self, plan_id: str) -> Self:
        """The plan's own: this entity where it is that already, else a copy of its values, to be put for this plan.

        A copy was not read: `put` creates it, or overwrites what the plan has by then (with `expected=ABSENT` it is
        refused). What other programs put on the item (`extra`) is not copied. Raises InvalidKeyError.
        """
        if self.plan_id == plan_id:
            return self
        copy = self.model_copy(update={"plan_id": check_plan(plan_id)}).read_from(None)
        _set(copy, "_inherited_by", None)
        return copy
