"""Reads settings of old modules: any object or mapping with sections `redis`, `dynamodb` and `s3`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import AnyUrl, SecretStr
from pydantic_core import Url

from bluestar_store.errors import ConfigurationError

PLAIN = (str, bytes, int, float, list, tuple, set)
"""What has no attributes that could be meant."""


@dataclass(frozen=True)
class OldSettings:
    """What such an object says; None, or no entry, for whatever it does not say."""

    redis: Mapping[str, Any] | None
    """The arguments of a RedisCacheBackend."""
    dynamodb: Mapping[str, str]
    """Fields of Settings."""
    s3: Mapping[str, str]
    """`bucket`, `region` and `endpoint_url`."""

    @classmethod
    def of(cls, settings: object) -> OldSettings:
        """Read an object of the old shape. Raises ConfigurationError for what is none, and for values of no use."""
        if isinstance(settings, PLAIN):
            raise ConfigurationError(
                f"create_persistence takes Settings, or an object with redis, dynamodb and s3 in it, not "
                f"{type(settings).__name__}"
            )
        redis, dynamodb, s3 = (_Section(settings, name) for name in ("redis", "dynamodb", "s3"))
        address = {
            "host": redis.text("host", missing="localhost"),
            "port": redis.number("port"),
            "db": redis.number("db"),
        }
        fields = {
            "table_suffix": dynamodb.text("table_suffix", empty=True),
            "aws_region": dynamodb.text("region"),
            "dynamodb_endpoint_url": dynamodb.text("endpoint_url"),
        }
        files = {name: s3.text(name) for name in ("bucket", "region", "endpoint_url")}
        return cls(_given(address) if address["host"] else None, _given(fields), _given(files))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class _Section:
    def __init__(self, settings: object, name: str) -> None:
        self._where = f"settings.{name}"
        self._values = _attribute(settings, name, "settings", None)
        if isinstance(self._values, PLAIN):
            raise ConfigurationError(f"{self._where} has to be an object, not {type(self._values).__name__}")

    def text(self, name: str, *, empty: bool = False, missing: str | None = None) -> str | None:
        """Text; None for nothing, and for an empty one but with `empty`. `missing`: what a section without it means."""
        value = self._value(name, missing)
        if isinstance(value, AnyUrl | Url):
            value = str(value)
        if not isinstance(value, str | None):
            raise ConfigurationError(f"{self._where}.{name} has to be text, not {type(value).__name__}")
        return value if value or empty else None

    def number(self, name: str) -> int | None:
        """A whole number, or one written as text; None for nothing."""
        value = self._value(name, None)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | None):
            raise ConfigurationError(f"{self._where}.{name} has to be a whole number, not {type(value).__name__}")
        return value

    def _value(self, name: str, missing: str | None) -> Any:
        """A secret as its text, an enum's member as its value, an attribute that a mock made up as nothing."""
        value = None if self._values is None else _attribute(self._values, name, self._where, missing)
        if "_mock_children" in getattr(value, "__dict__", ()):
            return None
        if isinstance(value, Enum):
            return value.value
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def _attribute(thing: object, name: str, where: str, missing: str | None) -> Any:
    try:
        return thing.get(name, missing) if isinstance(thing, Mapping) else getattr(thing, name, missing)
    except Exception as error:  # whatever a property raises; its text may show a secret
        raise ConfigurationError(f"{where}.{name} cannot be read ({type(error).__name__})") from None
