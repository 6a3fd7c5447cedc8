"""Settings: from the environment (prefix `BLUESTAR_`), or given by name."""

from __future__ import annotations

import base64
import os
import re
import warnings
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bluestar_store.checks import fields as field_checks
from bluestar_store.checks.meaning import Checks
from bluestar_store.errors import ConfigurationError, did_you_mean
from bluestar_store.mapping.values import Actor
from bluestar_store.plugins import CACHES, ENGINES, Plugins
from bluestar_store.redaction.names import DEFAULT_NAMES, words_of

PREFIX = "BLUESTAR_"
TEST_PREFIX = "BLUESTAR_TEST_"
"""Variables of the library's own test suite, and no settings; but for those of test data."""
TEST_DATA_PREFIX = "BLUESTAR_TEST_DATA_"

KEY_BYTES = 32
"""Of a key that encrypts or signs."""
REMOVED = {"cache_sensitive": "bank accounts neither go to Redis nor come from there"}
"""Settings of earlier releases that mean nothing now, and why; they are warned of."""

Seconds = Annotated[float, Field(gt=0, le=3600)]


def _with_commas(value: Any) -> Any:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_with_commas)]
"""In an environment variable with commas between them."""


class PersistenceMode(StrEnum):
    """Where items live."""

    DYNAMO = "dynamo"
    FILE = "file"
    MEMORY = "memory"


OLD_PER_TABLE = "eight"
"""What release 0.1.0 calls `per_table`."""


class TableLayout(StrEnum):
    """PER_TABLE: a table for each subject, which releases up to 0.1.0 call `eight`. SINGLE: all items in one table."""

    PER_TABLE = "per_table"
    SINGLE = "single"

    if TYPE_CHECKING:
        EIGHT: ClassVar[TableLayout]
        """The old name of PER_TABLE."""

    @classmethod
    def _missing_(cls, value: object) -> TableLayout | None:
        return cls.PER_TABLE if value == OLD_PER_TABLE else None

    @property
    def in_redis(self) -> str:
        """The word for it in the keys of the cache, which processes of release 0.1.0 share."""
        return OLD_PER_TABLE if self is TableLayout.PER_TABLE else self.value


TableLayout.EIGHT = TableLayout.PER_TABLE  # no member, which messages would list


class RedisMode(StrEnum):
    """What a Redis URL leads to: one server, a cluster, or the Sentinels that know which server is the master."""

    STANDALONE = "standalone"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


class Settings(BaseSettings):
    """How a Store is opened. Each field is also an environment variable: docs/settings.md lists them.

    A bad value is a ConfigurationError that names it. Secrets are masked in every repr. An unknown `BLUESTAR_` variable
    is a warning with the nearest known name.
    """

    # The text under a field, the heading above a group, default and bounds are docs/settings.md: `make docs` writes it.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )

    # ---- Where items live
    persistence_mode: PersistenceMode | str = Field(
        PersistenceMode.DYNAMO,
        union_mode="left_to_right",
        validation_alias=AliasChoices("BLUESTAR_PERSISTENCE_MODE", "PERSISTENCE_MODE"),
    )
    """The engine: DynamoDB, a folder, or this process's memory; or one of an installed package, by the name that this
    registers. See docs/adding-an-engine.md."""
    file_persistence_dir: Path | None = Field(
        None, validation_alias=AliasChoices("BLUESTAR_FILE_PERSISTENCE_DIR", "FILE_PERSISTENCE_DIR")
    )
    """The folder of mode `file`, which needs it."""
    table_prefix: str = "bluestar-"
    """How table names begin: a table is named `{prefix}{name}{suffix}`."""
    table_suffix: str = ""
    """How table names end, such as `-dev`."""
    table_layout: TableLayout = TableLayout.PER_TABLE
    """A table for each subject (`eight`, its old name, is taken, too), or all items in one table."""
    kinds: Names = ()
    """Your own kinds of items, each as `module:NAME`: see docs/adding-an-entity.md."""

    # ---- DynamoDB
    aws_region: str | None = None
    """The AWS region. Unset, the AWS SDK's own order decides."""
    dynamodb_endpoint_url: str | None = None
    """Another DynamoDB than AWS's: for DynamoDB Local `http://localhost:8000`, with any credentials."""
    connect_timeout_seconds: Seconds = 2
    """How long one call to AWS waits for a connection."""
    read_timeout_seconds: Seconds = 5
    """How long one call to AWS waits for the next bytes of its answer."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts of one call to AWS, the first included. Unset, `AWS_MAX_ATTEMPTS` or the AWS profile counts first."""
    conflict_attempts: Annotated[int, Field(ge=1, le=100)] = 12
    """Attempts of a transaction that others interfere with, and of a batch that comes back unfinished."""
    indexes_complete: bool = False
    """Every item carries the library's index attributes, because nobody else writes: no table is scanned for others."""
    index_recheck_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """Within how long all items of a table that `create --upgrade` marked are looked at again, by calls beside their
    answers. What other programs write may be missing from lists for so long, and for longer where nobody who may write
    starts batches or reads lists meanwhile."""
    parallel_calls: Annotated[int, Field(ge=1, le=64)] = 8
    """Independent reads that are made at once, and threads of an `AsyncStore`."""

    # ---- Who writes, and what is checked
    actor: Actor | None = None
    """Who writes, where a call gives no `actor=`: kept on every item written (`entity.written_by`) and in trails."""
    four_eyes: bool = False
    """A saved plan is applied by another actor than the one who proposed it in this store, and rules change by no other
    command. It trusts `actor`. See docs/rule-sets.md."""
    checks_off: Names = ()
    """Checks of what rules mean that are not made. See docs/rule-sets.md."""
    known_words: Names = ()
    """Words that these checks know besides: agents, frequencies, categories, names in formulas."""

    # ---- Cache
    redis_url: SecretStr | None = None
    """The second tier of the cache: `redis://`, `rediss://` or `unix://`. Unset, the first tier works alone. In mode
    `sentinel` it names the Sentinels: `redis://sentinel1:26379,sentinel2:26379`. Another scheme is that of a cache of
    an installed package. See docs/cache.md."""
    redis_mode: RedisMode = RedisMode.STANDALONE
    """What the URL leads to: one server, a cluster, or Sentinels."""
    redis_sentinel_service: str | None = None
    """The name of the master, in mode `sentinel`."""
    redis_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 50
    """How long a read waits for Redis before it does without."""
    cache_ttl_seconds: Seconds = 300
    """How old a change of another program may be when it is seen."""
    cache_absence_ttl_seconds: Seconds = 60
    """The same for what was not there."""
    cache_degraded_ttl_seconds: Seconds = 5
    """The same while other processes cannot be heard."""
    cache_stale_if_error_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0
    """How long past its time a value is given when DynamoDB fails (`entity.stale`); 0: never."""
    cache_max_entries: Annotated[int, Field(ge=0)] = 100_000
    """Entries of the first tier; 0 turns it off."""
    cache_max_bytes: Annotated[int, Field(ge=0)] = 256 * 1024 * 1024
    """About how many bytes the first tier holds (256 MiB); 0 turns it off."""
    cache_key: SecretStr | None = None
    """Signs what the library puts into Redis, and lets it believe nothing else: 32 bytes in base64. Of several, the
    first signs and all are believed."""
    cache_heartbeat_seconds: Annotated[float, Field(ge=0.05, le=60)] = 0.5
    """How soon a silent Redis is noticed."""

    # ---- Secrets
    masked_names: Names = DEFAULT_NAMES
    """Words of names whose values no repr, trail, table or error shows whole: `employee_ssn`, `acctNumber`, and not
    `discard`. Several Stores of a process mask the names of all of them."""
    encryption_key: SecretStr | None = None
    """Encrypts what is sensitive, such as bank accounts: 32 bytes in base64. Of several, the first encrypts and all
    decrypt. See docs/encryption.md."""
    encryption_kms_key: Names = ()
    """The same by keys of AWS KMS: ids, ARNs or aliases. With `encryption_key` besides, KMS encrypts."""
    encrypt_records: bool = False
    """Whole results and the details of audit entries are encrypted, too."""
    plain_pins: bool = False
    """Digests of bank accounts are pinned as release 0.1.0 does, while its processes verify rules; who may read a batch
    can then find out account numbers by trying. See docs/upgrading.md."""

    # ---- Files and documents
    files_url: str | None = None
    """Where files live: `s3://bucket/prefix`, `az://container/prefix`, `file:///folder` or `memory://`."""
    files_endpoint_url: str | None = None
    """Another S3 than AWS's, or the Azure storage account."""
    test_data_file: Path | None = Field(
        None, validation_alias=AliasChoices("BLUESTAR_TEST_DATA_FILE", "TEST_DATA_FILE")
    )
    """What documents of mode `file` begin with: a JSON file {table: [items]}, or a folder of such files."""
    test_data_set: str | None = Field(None, validation_alias=AliasChoices("BLUESTAR_TEST_DATA_SET", "TEST_DATA_SET"))
    """Which file of that folder; unset, `default`."""
    test_data_schema: Path | None = Field(
        None, validation_alias=AliasChoices("BLUESTAR_TEST_DATA_SCHEMA", "TEST_DATA_SCHEMA")
    )
    """A JSON Schema for it; unset, the one that the file's `$schema` names."""

    def __init__(self, **values: Any) -> None:
        if values.keys() & REMOVED.keys():
            values = _without_removed(values)
        problems: list[str] = []
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = [
                f"{_variable(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            ]
        if problems:  # raised here, without what was given: keys and passwords are among it
            values.clear()
            raise ConfigurationError("; ".join(problems))
        _warn_of_unknown_names()

    @property
    def cache_sensitive(self) -> bool:
        """A setting of earlier releases: bank accounts do not go to Redis any more."""
        return False

    @field_validator("persistence_mode", mode="before")
    @classmethod
    def _mode_is_known(cls, value: Any) -> Any:
        """In any case: the library's own, or the engine of an installed package, which is not imported here."""
        if not isinstance(value, str):
            return value
        name = value.lower()
        return name if name in tuple(PersistenceMode) else _installed(ENGINES, name)

    @field_validator("table_prefix", "table_suffix")
    @classmethod
    def _fits_a_table_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.-]*", value):
            raise ValueError("a table name has only the characters a-z, A-Z, 0-9, '_', '-' and '.' (an AWS limit)")
        return value

    @field_validator("kinds")
    @classmethod
    def _kinds_are_named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[\w.]+:\w+", name):
                raise ValueError(f"{name!r} is no module:NAME, such as payroll.calendar:CALENDAR")
        return names

    @field_validator("masked_names")
    @classmethod
    def _masked_names_are_words(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not words_of(name):
                raise ValueError(f"{name!r} has no word, such as account")
        return names

    @field_validator("checks_off")
    @classmethod
    def _checks_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in field_checks.NAMES:
                hint = did_you_mean(name, field_checks.NAMES)
                raise ValueError(f"{name[:60]!r} is no check{hint or '; they are ' + ', '.join(field_checks.NAMES)}")
        return value

    @property
    def checks(self) -> Checks:
        """The checks of meaning that are made."""
        return Checks(frozenset(self.checks_off), frozenset(self.known_words))

    @field_validator("aws_region")
    @classmethod
    def _region_is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[a-z0-9-]+", value):
            raise ValueError("a region is a name such as us-east-1")
        return value

    @field_validator("dynamodb_endpoint_url", "files_endpoint_url")
    @classmethod
    def _endpoint_is_a_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("an endpoint begins with http:// or https://")
        if value is not None and "@" in value:
            raise ValueError("an endpoint has no user or password; credentials come from the AWS configuration")
        return value

    @field_validator("files_url")
    @classmethod
    def _files_url_has_no_credentials(cls, value: str | None) -> str | None:
        if value is not None and "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError("a file store's URL has no user or password; credentials come from the environment")
        return value

    @field_validator("encryption_key", "cache_key")
    @classmethod
    def _keys_are_whole(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            keys_in(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_known(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            scheme, separator, _ = value.get_secret_value().partition("://")
            if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
                raise ValueError("a Redis URL begins with redis://, rediss:// or unix://")
            _installed(CACHES, scheme)
        return value


def _installed(plugins: Plugins, name: str) -> str:
    """The name, when an installed package has it; ValueError lists what there is. Imports nothing."""
    try:
        plugins.check(name)
    except ConfigurationError as error:
        raise ValueError(str(error).partition(": ")[2]) from None
    return name


def keys_in(secret: SecretStr) -> tuple[bytes, ...]:
    """The keys in a setting, 32 bytes each. ValueError, which shows nothing of them, for what is none."""
    texts = [text.strip() for text in secret.get_secret_value().split(",")]
    try:
        keys = tuple(base64.b64decode(text, validate=True) for text in texts)
    except ValueError:
        keys = ()
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ValueError(
            f"a key is {KEY_BYTES} bytes in base64, as `openssl rand -base64 {KEY_BYTES}` prints them; several have "
            "commas between them"
        )
    return keys


def _without_removed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values but those of settings that are no more, with a warning for each."""
    for name in values.keys() & REMOVED.keys():
        warnings.warn(f"{name} is no setting any more: {REMOVED[name]}", stacklevel=3)
    return {name: value for name, value in values.items() if name not in REMOVED}


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable of a field: pydantic names an aliased one by its first alias already."""
    name = str(location[0]) if location else "settings"
    return name if name.isupper() else f"{PREFIX}{name.upper()}"


def _warn_of_unknown_names() -> None:
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ):
        if (removed := REMOVED.get(name.removeprefix(PREFIX).lower())) is not None and name.startswith(PREFIX):
            warnings.warn(f"{name} is no setting any more: {removed}", stacklevel=3)
            continue
        ours = name.startswith(PREFIX) and (not name.startswith(TEST_PREFIX) or name.startswith(TEST_DATA_PREFIX))
        if ours and name not in known:
            warnings.warn(f"{name} is no setting of bluestar-store{did_you_mean(name, known)}", stacklevel=3)
