"""No test leaves threads behind: others look for those of this library by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bluestar_store import AsyncStore


@pytest.fixture(autouse=True)
def _no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[AsyncStore] = []
    init = AsyncStore.__init__

    def noted(self: AsyncStore, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(AsyncStore, "__init__", noted)
    yield
    for store in made:
        store._close()
