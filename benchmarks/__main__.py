"""`python -m benchmarks`: see run.py. Processes that a measurement starts import this module, so it is a small one."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from benchmarks.run import main

    sys.exit(main())
