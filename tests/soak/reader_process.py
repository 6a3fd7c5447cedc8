"""A process that reads all the time: `python -m tests.soak.reader_process SETTINGS READERS SEED FRESH`.

It says "ready" when its threads run; each line "stats" on stdin it answers with a line of JSON. When stdin ends or
"end FILE" comes, it ends, with what its threads did in FILE.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from bluestar_store import Settings, Store
from tests.soak.load import Load


def main() -> None:
    """See above."""
    settings, readers, seed, fresh = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    with Store.open(Settings(**settings)) as store:
        load = Load(store, readers=readers, seed=seed, fresh=fresh)
        load.start()
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            order, _, file = line.strip().partition(" ")
            if order == "stats":
                print(json.dumps(asdict(store.cache.stats())), flush=True)
                continue
            load.end()
            done = {"reads": load.reads, "failures": load.failures}
            Path(file).write_text(json.dumps(done), encoding="utf-8")
            print(json.dumps("done"), flush=True)
            break


if __name__ == "__main__":
    main()
