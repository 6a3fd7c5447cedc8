"""Importing: an export into empty tables, or item by item into those that are in use.

Everything is checked before anything is written. A small file beside the export remembers how far an import came, so
that after kill -9 the next run goes on from there; what lies behind that point it compares before it writes.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bluestar_store.engines.checks import item_bytes
from bluestar_store.errors import ConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, key_of
from bluestar_store.seeding.merging import Merger, Outcome
from bluestar_store.seeding.transfer_files import (
    Manifest,
    Place,
    Progress,
    Routes,
    held,
    read_items,
    write_whole,
)
