"""What the library has to know of a kind of items, said once: its Declaration, which a Mapper is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pynamodb.attributes import Attribute, UnicodeAttribute
from pynamodb.constants import BINARY
from pynamodb.models import Model

from bluestar_store.errors import ConfigurationError, NotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.indexes import BY_LEVEL, ByLevel
from bluestar_store.protocols import OWN_PREFIX, CacheKey
from bluestar_store.redaction.masking import redacted, sensitive_fields
from bluestar_store.redaction.names import is_secret_name

E = TypeVar("E", bound=Entity)


class ItemModel(Model):
    """What every item has. Subclasses set `Meta.table_name` to the table's name without prefix and suffix."""

    PK = UnicodeAttribute(hash_key=True)
    SK = UnicodeAttribute(range_key=True)
    version = IntegerAttribute(null=True)
    bs_actor = UnicodeAttribute(null=True)

    def __repr__(self) -> str:
        """PynamoDB's own, with bank numbers masked."""
        shown = ", ".join(
            f"{name}={redacted(name, value, numbers=False)!r}" for name, value in self.attribute_values.items()
        )
        return f"{type(self).__name__}({shown})"


_OF_EVERY_ITEM = frozenset(ItemModel.get_attributes())


class LevelModel(ItemModel):
    """What every item has that a plan may have of its own, or share with every plan: see `Mapper.index_of`."""

    bs_kind = UnicodeAttribute(null=True)
    bs_level = UnicodeAttribute(null=True)
    by_level = ByLevel()


OTHERS = "others"
"""Of a PlanSnapshot: what it has no attribute for."""


class ListedIn(StrEnum):
    """The revision of what belongs to no level."""

    BATCH = "batch"
    HOLDS = "holds"


@dataclass(frozen=True)
class Derived:
    """`field` follows from the texts of `source`; `of` raises InvalidKeyError for some that it cannot follow from."""

    field: str
    source: str
    of: Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Declaration(Generic[E]):
    """How one entity lies on disk, and all that the rest of the library has to know of its kind: it is said only here.

    - `index`: the index attributes of an entity, for what is not indexed as `index_of` says.
    - `rule_list`: the name of its list in the rule file `{table}.json`; None: no rule set holds it.
    - `sensitive`: all of it is, also what other programs put on its items; see `is_sensitive`. Such values never go to
      Redis, nor come from there.
    - `cached`: if not, every read goes to the engine, and a write has no cache to tell.
    - `records`: fields that hold whatever an agent found, of people too: a setting encrypts them.
    - `commands`: those that write over one item, or delete it, whatever lies there: `rule set {plan_id} {calc_type}
      KEY=VALUE`.
    - `extensible`: users may give its entity fields of their own, by `extended`.
    - `in_store`: the attribute of a Store that has its repository, and of an AsyncStore.
    - `repository`: that repository's class, `module:Class`, which is made of the Store; None: a plain Repository.
    - `owner`: the attribute of a Store that alone writes it, for what has rules that a plain repository does not know.
    - `replaced_whole`: the items of a partition are one thing, and written and removed together: a pipeline's steps.
    - `in_snapshot`: the attribute of a PlanSnapshot that has what applies to the plan of it, which batches pin: OTHERS,
      where no attribute is made for it. Its partition key has no other fields than plan_id, pay_freq and year then.
    - `diff_rank`: where differences of plans list it; those of one rank as they are registered.
    - `listed_in`: which revision lists its transactions, for readers of several items at once; the level's for what
      belongs to a level.
    - `append_only`: its items are never changed, not to encrypt them either: the chain covers what they say.
    - `holds_keys`: its items are the keys of plans' data: wrapped, not encrypted.
    - `digested`: a field whose digest lies beside it in the attribute `digest`.
    - `pins`: an attribute on disk that maps items (`{table}/{PK}/{SK}`) to their digests.
    - `tells_plan`: a document among its fields that may name the plan of a batch that has no typed state.
    - `created`: a field that says when it was made, of which the newest counts; whoever edits rules need not give it.
    - `derived`: a field of its key that rule files may leave out, the field it follows from, and how.
    - `grows`: what of the item grows, and what to do about it, where `doctor` warns before the limit of an item.
    """

    name: str
    entity: type[E]
    model: type[ItemModel]
    keys: ItemKeys
    missing: type[NotFoundError]
    index: Callable[[E], Mapping[str, str]] | None = None
    rule_list: str | None = None
    sensitive: bool = False
    cached: bool = True
    records: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    extensible: bool = False
    in_store: str | None = None
    repository: str | None = None
    owner: str | None = None
    replaced_whole: bool = False
    in_snapshot: str | None = None
    diff_rank: int = 10
    listed_in: ListedIn | None = None
    append_only: bool = False
    holds_keys: bool = False
    digested: str | None = None
    pins: str | None = None
    tells_plan: str | None = None
    created: str | None = None
    derived: Derived | None = None
    grows: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """ConfigurationError, naming both, where the entity and its Model differ in what they have."""
        entity, model = self.entity, self.model
        given: tuple[type[Any], type[Any]] = entity, model  # which nobody's type checker may have seen
        if not all(map(issubclass, given, (Entity, ItemModel))):
            raise ConfigurationError(
                f"kind {self.name}: its entity must be a subclass of Entity, its Model one of ItemModel or LevelModel"
            )
        fields, attributes = entity.model_fields.keys(), model.get_attributes().keys()
        if missing := sorted(fields - attributes):
            what = f"{model.__name__} has no attribute for {', '.join(missing)}, which {entity.__name__} has"
            raise ConfigurationError(f"kind {self.name}: {what}")
        own = (name for name in attributes - fields if name not in _OF_EVERY_ITEM and not name.startswith(OWN_PREFIX))
        if missing := sorted(own):
            what = f"{entity.__name__} has no field for {', '.join(missing)}, which {model.__name__} has"
            raise ConfigurationError(f"kind {self.name}: {what}")

    @cached_property
    def sensitive_fields(self) -> frozenset[str]:
        """The fields of type SensitiveText."""
        return sensitive_fields(self.entity)

    @cached_property
    def is_sensitive(self) -> bool:
        """Whether it is declared `sensitive`, or has a field of type SensitiveText.

        Its values do not go to Redis, unless a setting lets them; its digests need the store's key.
        """
        return self.sensitive or bool(self.sensitive_fields)

    @cached_property
    def is_of_level(self) -> bool:
        """Whether its items belong to a level: a plan, GLOBAL or DEFAULT."""
        return self.rule_list is not None or BY_LEVEL in self.index_names

    @cached_property
    def is_of_plans(self) -> bool:
        """Whether a plan may have items of it of its own, by a key that names the plan."""
        return BY_LEVEL in self.index_names and "plan_id" in self.keys.fields

    @cached_property
    def names_plan(self) -> bool:
        """Whether its items are of the level that an attribute names, which their key does not tell."""
        return BY_LEVEL in self.index_names and not self.is_of_plans and "plan_id" in self.entity.model_fields

    @cached_property
    def is_work(self) -> bool:
        """Whether it tells what was done, or is being done, or holds keys: an import never writes over it."""
        return self.owner is not None and self.rule_list is None

    @cached_property
    def table(self) -> str:
        """The table's name without prefix and suffix."""
        return self.model.Meta.table_name

    @cached_property
    def attributes(self) -> dict[str, Attribute[Any]]:
        """The Model's attribute for each field of the entity, in the entity's order."""
        known = self.model.get_attributes()
        return {name: known[name] for name in self.entity.model_fields}

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The attributes on disk that a write expects as they were read; what the key says too comes last.

        A conflict names the first that differs.
        """
        fields = sorted(self.attributes, key=lambda field: field in self.keys.fields)
        return tuple(self.attributes[field].attr_name for field in fields)

    @cached_property
    def sensitive_attributes(self) -> frozenset[str]:
        """The attributes that are encrypted where there is a key, by their names on disk: by type, and by name.

        None of the key's, which has to be found, and no binary one: its ciphertext, which is binary too, could be taken
        for what it says.
        """
        typed = sensitive_fields(self.entity)
        fields = (
            (name, attribute)
            for name, attribute in self.attributes.items()
            if name not in self.keys.fields and (name in typed or (self.sensitive and is_secret_name(name)))
        )
        return frozenset(attribute.attr_name for _, attribute in fields if attribute.attr_type != BINARY)

    @cached_property
    def record_attributes(self) -> frozenset[str]:
        """The attributes of `records`, by their names on disk."""
        return frozenset(self.attributes[name].attr_name for name in self.records)

    @cached_property
    def index_attributes(self) -> frozenset[str]:
        """The attributes of the indexes that this kind's Model has."""
        return frozenset(name for index in self.model._indexes.values() for name in index.Meta.attributes)

    @cached_property
    def index_names(self) -> frozenset[str]:
        """The names of the indexes that this kind's Model has."""
        return frozenset(self.model._indexes)

    @cached_property
    def partition_fields(self) -> tuple[str, ...]:
        """The fields that make the partition key."""
        return tuple(name for name in self.keys.fields if name not in self.keys.sort.fields)

    def item_cache_key(self, *values: Any) -> CacheKey:
        """What a cache calls the item of an identity, its values in the order of `keys.fields`."""
        return (self.name, *values)

    def partition_cache_key(self, *values: Any) -> CacheKey:
        """What a cache calls all items in a partition, by the values of `partition_fields`."""
        return (f"{self.name}*", *values)

    def partition_cache_keys(self, pk: str) -> tuple[CacheKey, ...]:
        """What a cache calls all items in this partition; none for a partition that is no entity's."""
        identity = self.keys.partition_identity(pk)
        return (
            () if identity is None else (self.partition_cache_key(*(identity[name] for name in self.partition_fields)),)
        )

    def cache_keys(self, identity: Mapping[str, Any]) -> tuple[CacheKey, ...]:
        """Every cache key that a write of the item of this identity touches."""
        return (
            self.item_cache_key(*(identity[name] for name in self.keys.fields)),
            self.partition_cache_key(*(identity[name] for name in self.partition_fields)),
        )
