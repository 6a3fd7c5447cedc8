"""The files of an AsyncStore."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluestar_store import (
    AlreadyExistsError,
    AsyncStore,
    ConfigurationError,
    FileMissingError,
    FileStoreError,
    Settings,
)
from tests.aio.stores import cancelled

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path: Path) -> AsyncStore:
    return AsyncStore.open(Settings(persistence_mode="memory", files_url=(tmp_path / "files").as_uri()))


def test_files_are_written_read_moved_and_listed(store: AsyncStore) -> None:
    async def run() -> None:
        async with store:
            files = store.files
            assert await files.write("in/a.csv", "ä,b") == "in/a.csv"
            with pytest.raises(AlreadyExistsError):
                await files.write("in/a.csv", b"", if_absent=True)
            await files.copy("in/a.csv", "in/b.csv")
            await files.move("in/b.csv", "done/b.csv")
            assert await files.list_files() == ["done/b.csv", "in/a.csv"]
            assert await files.read("done/b.csv") == "ä,b".encode()
            assert (await files.stat("in/a.csv")).size_bytes == 4
            await files.delete("in/a.csv")
            assert not await files.exists("in/a.csv")
            with pytest.raises(FileMissingError):
                await files.read("in/a.csv")
            with pytest.raises(FileStoreError):
                await files.link("done/b.csv")
            assert files.location == store.store.files.location

    asyncio.run(run())


def test_streams_are_read_and_written_in_parts(store: AsyncStore) -> None:
    async def run() -> None:
        async with store:
            async with store.files.open("a.bin", "wb", if_absent=True) as writer:
                for at in range(0, len(CONTENT), 1000):
                    assert await writer.write(CONTENT[at : at + 1000]) == len(CONTENT[at : at + 1000])
                assert not await store.files.exists("a.bin")
            parts = []
            async with store.files.open("a.bin") as reader:
                while part := await reader.read(999):
                    parts.append(part)
                assert await reader.seek(-3, 2) == len(CONTENT) - 3
                assert await reader.read() == CONTENT[-3:]
            assert b"".join(parts) == CONTENT
            with pytest.raises(AlreadyExistsError):
                async with store.files.open("a.bin", "wb", if_absent=True) as writer:
                    await writer.write(b"x")
            with pytest.raises(FileMissingError):
                async with store.files.open("b.bin"):
                    pass
            with pytest.raises(ValueError, match="async with"):
                await store.files.open("a.bin").read()

    asyncio.run(run())


def test_a_stream_whose_block_raises_or_is_cancelled_leaves_nothing(store: AsyncStore) -> None:
    async def write(begun: asyncio.Event) -> None:
        async with store.files.open("a.bin", "wb") as writer:
            await writer.write(b"x" * 100)
            begun.set()
            await asyncio.gather(*(writer.write(b"y" * 1000) for _ in range(100)))
            await asyncio.Event().wait()

    async def run() -> None:
        async with store:
            begun = asyncio.Event()
            task = asyncio.create_task(write(begun))
            await begun.wait()
            await cancelled(task)
            assert await store.files.list_files() == []

    asyncio.run(run())


def test_without_the_setting_there_are_none() -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_FILES_URL"):
        _ = AsyncStore.open(Settings(persistence_mode="memory")).files
