"""An agent in a process of its own: python -m tests.workflow.agent_process JOB TIMES < settings as JSON."""

from __future__ import annotations

import json
import sys

from bluestar_store import Settings, Store
from tests.workflow.agents import advance


def main() -> None:
    job, times = sys.argv[1], int(sys.argv[2])
    with Store.open(Settings(**json.load(sys.stdin))) as store:
        if job == "advance":
            advance(store, times)
        else:
            for number in range(times):
                store.audit.append("b", action=f"{job} {number}")


if __name__ == "__main__":
    main()
