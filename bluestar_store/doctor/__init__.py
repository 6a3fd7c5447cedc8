"""The doctor: looks at a Store from outside, changes nothing, and says what to do about what it finds.

Each module looks at one subject; `examination` asks them in turn.
"""

from bluestar_store.doctor.examination import examine
from bluestar_store.doctor.findings import Finding, Severity, is_healthy

__all__ = ["Finding", "Severity", "examine", "is_healthy"]
