"""Settings of all soaks."""

from tests.counting import percentages_may_count as percentages_may_count
