"""The Stores of the store suite's plug-ins, for what is awaited round them; and no thread is left behind by a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bluestar_store import AsyncStore
from tests.stores.conftest import layout, local_connection, make_store

__all__ = ["layout", "local_connection", "make_store"]


@pytest.fixture(autouse=True)
def _no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other tests look for the threads of this library by their names."""
    made: list[AsyncStore] = []
    init = AsyncStore.__init__

    def noted(self: AsyncStore, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(AsyncStore, "__init__", noted)
    yield
    for store in made:
        store._close()
