"""Engines, file stores and caches of installed packages are settings, and loaded when they are chosen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import ConfigurationError, Settings
from bluestar_store.files import open_files
from bluestar_store.files.protocol import FileStore
from bluestar_store.plugins import CACHES, ENGINES, FILES, Plugins, members
from bluestar_store.protocols import Engine
from tests.plugin_packages import install

VAULT = """
import sys
from bluestar_store.cache import CacheControl, OpenedCache, open_in_process
from bluestar_store.engines.memory import MemoryEngine
from bluestar_store.files.memory import MemoryFileStore

print("vault is imported", file=sys.stderr)


class VaultEngine(MemoryEngine):
    location = "a vault"


def open_engine(settings, tables):
    engine = VaultEngine()
    engine.create_tables(tables.specs())
    return engine


def open_files(url):
    files = MemoryFileStore()
    files.write("asked", f"{url.scheme} {url.host} {url.prefix}")
    return files


class Control(CacheControl):
    told = "the vault's"


class VaultCache:
    def __init__(self, behind):
        self.peek, self.writing, self.close, self._behind = behind.peek, behind.writing, behind.close, behind

    def fetch(self, keys, source, *, fresh):
        return self._behind.fetch(keys, source, fresh=fresh)


def open_cache(request):
    cache, _ = open_in_process(request)
    return OpenedCache(VaultCache(cache), Control(cache))


NOT_CALLED = "no function"


def open_nothing(*given):
    return None
"""
POINTS = {
    "bluestar_store.engines": {
        "vault": "vault_store:open_engine",
        "memory": "vault_store:open_nothing",
        "nothing": "vault_store:open_nothing",
        "lost": "vault_store.lost:open_engine",
        "text": "vault_store:NOT_CALLED",
    },
    "bluestar_store.files": {"vault": "vault_store:open_files", "nothing": "vault_store:open_nothing"},
    "bluestar_store.caches": {"vault": "vault_store:open_cache"},
}
IMPORTED = "vault is imported"
COMMAND = "from bluestar_store.cli import main; main()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    install(tmp_path, "vault-store", VAULT, POINTS)
    return tmp_path


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "BLUESTAR_"))}
    environment = {**kept, "PYTHONPATH": os.pathsep.join((str(folder), str(Path.cwd()))), **variables}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)


def told(folder: Path, code: str, **variables: str) -> Any:
    done = run(folder, "-c", f"import json\n{code}", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_engine_of_an_installed_package_is_a_setting(folder: Path) -> None:
    code = """
from bluestar_store import CalculationRule, Store
with Store.open() as store:
    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula="1"))
    print(json.dumps([store.engine.location, store.settings.persistence_mode, store.plans()]))
"""
    assert told(folder, code, BLUESTAR_PERSISTENCE_MODE="vault") == ["a vault", "vault", ["ACME"]]


def test_a_file_store_of_an_installed_package_is_chosen_by_its_urls_scheme(folder: Path) -> None:
    code = """
from bluestar_store import Settings, Store
with Store.open(Settings(persistence_mode="memory")) as store:
    print(json.dumps(store.files.read("asked").decode()))
"""
    assert told(folder, code, BLUESTAR_FILES_URL="vault://door/in/here/") == "vault door in/here"


def test_a_cache_of_an_installed_package_is_chosen_by_its_urls_scheme(folder: Path) -> None:
    code = """
from bluestar_store import CalculationRule, Settings, Store
with Store.open(Settings(persistence_mode="memory")) as store:
    store.create_tables()
    store.calculation_rules.put(CalculationRule(plan_id="GLOBAL", calc_type="match", formula="1"))
    store.calculation_rules.get("ACME", "match"), store.calculation_rules.get("ACME", "match")
    print(json.dumps([store.cache.told, store.cache.stats().loads]))
"""
    assert told(folder, code, BLUESTAR_REDIS_URL="vault://door") == ["the vault's", 1]


def test_the_command_works_on_an_engine_of_an_installed_package(folder: Path) -> None:
    done = run(folder, "-c", COMMAND, "--mode", "vault", "inspect")
    assert (done.returncode, "a vault" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from bluestar_store.cli import main; main()",
        "from bluestar_store import Settings; Settings(persistence_mode='vault', redis_url='vault://x')",
        "from bluestar_store import Settings, Store; Store.open(Settings(persistence_mode='memory')).create_tables()",
    ],
    ids=["--help", "settings", "another engine"],
)
def test_nothing_of_another_package_is_imported_before_it_is_chosen(folder: Path, code: str) -> None:
    done = run(folder, "-c", f"import sys; sys.argv[1:] = ['--help']\n{code}")
    assert (done.returncode, IMPORTED in done.stderr) == (0, False), done.stderr


def test_a_name_that_is_not_there_is_one_configuration_error_that_lists_what_there_is(folder: Path) -> None:
    code = """
from bluestar_store import ConfigurationError, Settings, Store
from bluestar_store.files import open_files
def message(call):
    try:
        call()
    except ConfigurationError as error:
        return str(error)
print(json.dumps([
    message(lambda: Settings(persistence_mode="vaults")),
    message(lambda: open_files("vaults://door")),
    message(lambda: Settings(redis_url="vaults://user:secret@door")),
]))
"""
    engine, files, cache = told(folder, code)
    assert engine == (
        "BLUESTAR_PERSISTENCE_MODE: there is no engine 'vaults'; did you mean vault?; there are "
        + ", ".join((*ENGINES.names(), "lost", "nothing", "text", "vault"))
    )
    assert files.startswith("BLUESTAR_FILES_URL: there is no file store 'vaults'")
    assert files.endswith("there are s3, az, file, memory, nothing, vault")
    assert cache.startswith("BLUESTAR_REDIS_URL: there is no cache 'vaults'")
    assert cache.endswith("there are redis, rediss, unix, vault")
    assert "secret" not in cache


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "opened a NoneType, which is no engine: it lacks parallel_calls, location"),
        ("lost", "engine lost of vault-store cannot be imported (vault_store.lost:open_engine): ModuleNotFoundError"),
        ("text", "engine text of vault-store is nothing that can be called (vault_store:NOT_CALLED)"),
    ],
)
def test_a_plug_in_that_is_broken_is_a_configuration_error_that_names_its_package(
    folder: Path, name: str, said: str
) -> None:
    done = run(folder, "-c", COMMAND, "--mode", name, "inspect")
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_librarys_own_names_are_taken(folder: Path) -> None:
    code = """
from bluestar_store import Settings, Store
print(json.dumps(Store.open(Settings(persistence_mode="memory")).engine.location))
"""
    assert told(folder, code) == "this process's memory"


def test_two_packages_with_one_name_are_refused_with_both_of_theirs(folder: Path) -> None:
    install(folder, "other-store", "", {"bluestar_store.engines": {"vault": "other_store:open_engine"}})
    done = run(folder, "-c", COMMAND, "--mode", "vault", "inspect")
    assert done.returncode == 2
    for package in ("vault-store", "other-store"):
        assert package in done.stderr


def test_a_package_that_is_found_twice_is_one(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    again = tmp_path_factory.mktemp("again")
    install(again, "vault-store", VAULT, POINTS)
    done = run(folder, "-c", COMMAND, "--mode", "vault", "inspect", PYTHONPATH=f"{folder}:{again}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("plugins", [ENGINES, FILES, CACHES], ids=lambda plugins: plugins.group)
def test_the_librarys_own_are_listed_first(plugins: Plugins) -> None:
    own: Mapping[str, tuple[str, ...]] = {
        "bluestar_store.engines": ("dynamo", "file", "memory"),
        "bluestar_store.files": ("s3", "az", "file", "memory"),
        "bluestar_store.caches": ("redis", "rediss", "unix"),
    }
    assert tuple(plugins.names())[: len(own[plugins.group])] == own[plugins.group]
    assert all(map(plugins.is_own, own[plugins.group]))


def test_no_setting_is_evaluated() -> None:
    """A name that looks like a module or code is no name of an entry point."""
    for name in ("os:system", "vault_store:open_engine", "__import__('os')", "", "../vault"):
        with pytest.raises(ConfigurationError, match="there is no engine"):
            Settings(persistence_mode=name)
        with pytest.raises(ConfigurationError, match="BLUESTAR_FILES_URL"):
            open_files(f"{name}://door")


def test_the_members_of_a_protocol_are_all_that_it_asks_for() -> None:
    assert members(Engine)[:3] == ["parallel_calls", "location", "data_id"]
    assert {"get", "get_isolated", "query", "scan", "write", "put_many", "close"} <= set(members(Engine))
    assert {"read", "write", "open", "link"} <= set(members(FileStore))
