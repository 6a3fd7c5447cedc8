"""A process of one release: python partner.py FOLDER, told by lines of JSON on stdin what to do, `[job, arguments]`.

It imports nothing of the working tree but `jobs` of the folder, so that `bluestar_store` is whatever this Python has.
The job `open` takes fields of Settings; every other one is a function of `jobs` and is given the Store. Each answer is
a line of JSON, {"answer": ...} or {"error": its type, "text": ...}.
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    jobs = importlib.import_module("jobs")
    answers, sys.stdout = sys.stdout, sys.stderr
    store = None
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = None
        try:
            if name == "open":
                if store is not None:
                    store.close()
                store = jobs.opened(*arguments)
            else:
                answer = getattr(jobs, name)(store, *arguments)
            said = {"answer": answer}
        except Exception as error:  # the test says whether it may be
            said = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
