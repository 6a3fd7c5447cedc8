"""Hypothesis strategies: identities, values and whole entities of every kind."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.batches import BatchStatus
from bluestar_store.models.registry import KINDS

LEVELS = {
    "pipeline-step": DEFAULT,
    "client-config": DEFAULT,
    "ach-config": DEFAULT,
    "calculation-rule": GLOBAL,
    "validation-rule": GLOBAL,
    "plan-key": GLOBAL,
}
"""The reserved level of each kind that has one."""

ODD_IDENTIFIERS = ["../x", "a b", " ", "😀", "Ärger", "acme", "ACME", "_", "A_B", "CLIENT", "STEP", "\u202e", "e\u0301"]
"""Identifiers that look wrong and are none of our business: they are kept as they are."""


def identifiers(*, plain: bool = False) -> st.SearchStrategy[str]:
    """Whatever may stand in a key; mostly short texts of few characters, so that two of them often are close."""
    few = "AB. " if plain else "AB_ ."
    close = st.text(few, min_size=1, max_size=4)
    any_text = st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="#_" if plain else "#"),
        min_size=1,
        max_size=12,
    )
    odd = st.sampled_from([text for text in ODD_IDENTIFIERS if not plain or "_" not in text])
    return close | any_text | odd


def plan_ids(level: str | None) -> st.SearchStrategy[str]:
    """A plan's identifier, or the level that the kind falls back to."""
    plans = identifiers().filter(lambda text: text not in (GLOBAL, DEFAULT))
    return plans | st.just(level) if level else plans


def _identity_field(mapper: Mapper[Any], name: str) -> st.SearchStrategy[Any]:
    if name in mapper.keys.numbers:
        return st.integers(0, 120) | st.integers(0, 10**9)
    if name == "plan_id":
        return plan_ids(LEVELS.get(mapper.name, mapper.keys.level))
    if name == "partition":
        return st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.just("CLIENT#A_B")
    return identifiers(plain=name == "pay_freq")


@st.composite
def identities(draw: st.DrawFn, mapper: Mapper[Any]) -> dict[str, Any]:
    """An identity of the kind."""
    identity = {name: draw(_identity_field(mapper, name)) for name in mapper.keys.fields}
    if "batch_id" in identity and "table" in identity:  # a trail is a batch's or a partition's
        gone = ("table", "partition") if draw(st.booleans()) else ("batch_id",)
        identity |= dict.fromkeys(gone)
    return identity


@st.composite
def placed(draw: st.DrawFn) -> tuple[Mapper[Any], dict[str, Any]]:
    """Some kind, and an identity of it."""
    kind = draw(st.sampled_from(KINDS))
    return kind, draw(identities(kind))


@st.composite
def decimals(draw: st.DrawFn) -> Decimal:
    """Every number that DynamoDB holds: up to 38 digits, 1E-130 to 9.9E+125, either sign."""
    digits = draw(st.integers(0, 10**38 - 1))
    length = len(str(digits))
    exponent = draw(st.integers(-10, 10) | st.integers(-130 - length + 1, 125 - length + 1))
    number = Decimal((draw(st.integers(0, 1)) if digits else 0, tuple(map(int, str(digits))), exponent))
    # Trailing zeros move the magnitude: only what is inside DynamoDB's range counts.
    return number if not number or -130 <= number.adjusted() <= 125 else Decimal(digits)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
documents = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
    st.recursive(
        st.none() | st.booleans() | texts | decimals() | st.integers(-(10**30), 10**30),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner),
        max_leaves=6,
    ),
    max_size=4,
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "UnicodeAttribute": texts,
    "BooleanAttribute": st.booleans(),
    "BytesAttribute": st.binary(max_size=40),
    "IntegerAttribute": st.integers(0, 10**12),
    "DecimalAttribute": decimals(),
    "UtcAttribute": times,
    "EntryTimeAttribute": times,
    "EnumAttribute": st.sampled_from(BatchStatus),
    "TextListAttribute": st.lists(texts, max_size=4).map(tuple),
    "TextMapAttribute": st.dictionaries(st.text("abc", min_size=1, max_size=4), texts, max_size=4),
    "DocumentAttribute": documents,
}
"""By the class of the Model's attribute."""

NARROWED: dict[str, st.SearchStrategy[Any]] = {"deadline_hour": st.integers(0, 23)}
"""Fields that take less than their attribute does."""


@st.composite
def entities(draw: st.DrawFn, mapper: Mapper[Any]) -> Entity:
    """An entity of the kind, each optional field sometimes left out."""
    values = draw(identities(mapper))
    for name, attribute in mapper.attributes.items():
        if name not in values and draw(st.booleans()):
            values[name] = draw(NARROWED[name] if name in NARROWED else VALUES[type(attribute).__name__])
    for name, field in mapper.entity.model_fields.items():
        if field.is_required() and name not in values:
            values[name] = draw(VALUES[type(mapper.attributes[name]).__name__])
    entity: Entity = mapper.entity(**values)
    return entity
