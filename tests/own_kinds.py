"""A user's kinds of items: a configuration with fields of its own, and an entity with a table of its own."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store import ClientConfig, NotFoundError
from bluestar_store.extending import (
    CLIENT_CONFIG,
    ClientConfigModel,
    DecimalAttribute,
    IntegerAttribute,
    ItemKeys,
    LevelModel,
    Mapper,
    Number,
    PlanEntity,
    Repository,
    TextListAttribute,
    TextTuple,
)


class PayrollConfig(ClientConfig):
    forfeiture_pct: Number | None = None


class PayrollConfigModel(ClientConfigModel):
    forfeiture_pct = DecimalAttribute(attr_name="forfeiturePct", null=True)


class PayCalendar(PlanEntity):
    year: int
    pay_days: TextTuple = ()


class PayCalendarModel(LevelModel):
    class Meta:
        table_name = "pay-calendar"

    plan_id = UnicodeAttribute(null=True)
    year = IntegerAttribute(null=True)
    pay_days = TextListAttribute(attr_name="payDays", null=True)


class PayCalendarNotFoundError(NotFoundError):
    """Neither the plan nor DEFAULT has pay days for the year."""


class PayCalendars(Repository[PayCalendar]):
    def get(self, plan_id: str, year: int, *, fresh: bool = False) -> PayCalendar:
        calendar = self.first((plan_id, year), ("DEFAULT", year), fresh=fresh)
        if calendar is None:
            raise self.not_found(f"no pay days for plan {plan_id!r} in {year}")
        return calendar


PAYROLL_CONFIG = CLIENT_CONFIG.extended(PayrollConfig, PayrollConfigModel)
PAY_CALENDAR = Mapper(
    "pay-calendar",
    PayCalendar,
    PayCalendarModel,
    ItemKeys.of("CLIENT#{plan_id:DEFAULT}", "PAYDAYS#{year:04d}"),
    PayCalendarNotFoundError,
    rule_list="pay_calendars",
)
KINDS = (PAYROLL_CONFIG, PAY_CALENDAR)
