"""Engines, file stores and caches by name: the library's own, and those of installed packages.

Each is an entry point: a name, and the callable that opens it. Another package declares its own in its pyproject.toml,

    [project.entry-points."bluestar_store.engines"]
    mongo = "mongo_store.engine:open_engine"

and is chosen by a setting, as the library's are. Names are looked up in the metadata of installed packages; a module is
imported when it was chosen, and not before. No setting is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from bluestar_store.errors import ConfigurationError, did_you_mean
from bluestar_store.keys import shown


class Plugins:
    """One group of entry points: everything of one kind that a setting can name."""

    def __init__(self, group: str, what: str, setting: str, own: Mapping[str, str]) -> None:
        """`what` names one for people, `setting` the variable that chooses one; `own` are the library's, by name."""
        self.group, self.what, self.setting = group, what, setting
        self._own = {name: EntryPoint(name, value, group) for name, value in own.items()}

    def names(self) -> list[str]:
        """Every name that can be chosen: the library's own, then those of other packages, sorted."""
        return [*self._own, *sorted({found.name for found in entry_points(group=self.group)} - self._own.keys())]

    def is_own(self, name: str) -> bool:
        """Whether it is the library's, whose names are taken whatever other packages declare."""
        return name in self._own

    def check(self, name: str) -> None:
        """Raises ConfigurationError, with all names, for one that is not there. Imports nothing."""
        self._entry(name)

    def open(self, name: str, needs: Iterable[str], *given: Any) -> Any:
        """What the callable of this name returns for the arguments given; `needs` are the members it has to have.

        Raises ConfigurationError for a name that is not there, for a callable that cannot be imported, and where what
        it returned lacks a member; and what the callable raises.
        """
        entry = self._entry(name)
        opened = self._load(entry)(*given)
        if name not in self._own and (lacking := [one for one in needs if not hasattr(opened, one)]):
            raise ConfigurationError(
                f"{self._described(entry)} opened a {type(opened).__name__}, which is no {self.what}: it lacks "
                + ", ".join(lacking)
            )
        return opened

    def _entry(self, name: str) -> EntryPoint:
        if name in self._own:
            return self._own[name]
        found = list(dict.fromkeys(entry_points(group=self.group, name=name)))
        if not found:
            known = self.names()
            raise ConfigurationError(
                f"{self.setting}: there is no {self.what} {shown(name)}{did_you_mean(name, known)}; there are "
                + ", ".join(known)
            )
        if len({entry.value for entry in found}) > 1:
            raise ConfigurationError(
                f"{self.setting}: more than one package has a {self.what} {shown(name)}: "
                + ", ".join(f"{_package(entry)} ({entry.value})" for entry in found)
                + "; uninstall all but one of them"
            )
        return found[0]

    def _load(self, entry: EntryPoint) -> Callable[..., Any]:
        try:
            loaded: Callable[..., Any] = entry.load()
        except (Exception, SystemExit) as error:  # whatever importing a module of another package raises
            if isinstance(error, ModuleNotFoundError) and entry.extras:
                raise ConfigurationError(
                    f"{self._described(entry)} needs a package that is not there ({error.name}): "
                    f"pip install '{_package(entry)}[{','.join(entry.extras)}]'"
                ) from None
            raise ConfigurationError(
                f"{self._described(entry)} cannot be imported ({entry.value}): {type(error).__name__}: {error}"
            ) from error
        if not callable(loaded):
            raise ConfigurationError(f"{self._described(entry)} is nothing that can be called ({entry.value})")
        return loaded

    def _described(self, entry: EntryPoint) -> str:
        return f"{self.setting}: {self.what} {entry.name} of {_package(entry)}"


def members(protocol: type) -> list[str]:
    """The names of the methods and attributes that a Protocol asks for, in the order of its source."""
    bases = [base for base in reversed(protocol.__mro__) if getattr(base, "_is_protocol", False)]
    return list(dict.fromkeys(name for base in bases for name in vars(base) if not name.startswith("_")))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "bluestar-store"


ENGINES = Plugins(
    "bluestar_store.engines",
    "engine",
    "BLUESTAR_PERSISTENCE_MODE",
    {name: f"bluestar_store.engines.opening:open_{name}" for name in ("dynamo", "file", "memory")},
)
"""By the mode. Called with the Settings and the Tables; opens a `protocols.Engine`."""

FILES = Plugins(
    "bluestar_store.files",
    "file store",
    "BLUESTAR_FILES_URL",
    {
        "s3": "bluestar_store.files.opening:open_s3",
        "az": "bluestar_store.files.opening:open_azure",
        "file": "bluestar_store.files.opening:open_folder",
        "memory": "bluestar_store.files.opening:open_memory",
    },
)
"""By the URL's scheme. Called with a `files.FilesUrl`; opens a `files.FileStore`."""

CACHES = Plugins(
    "bluestar_store.caches",
    "cache",
    "BLUESTAR_REDIS_URL",
    dict.fromkeys(("redis", "rediss", "unix"), "bluestar_store.cache.control:open_on_redis"),
)
"""By the URL's scheme. Called with a `cache.CacheRequest`; opens a `cache.OpenedCache`."""
