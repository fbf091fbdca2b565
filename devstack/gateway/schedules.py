"""Schedules: `rate(…)` and `cron(…)` expressions, and the event that a schedule sends."""

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from devstack.gateway.application import Schedule
from devstack.gateway.errors import TemplateError
from devstack.gateway.intrinsics import ACCOUNT, PARTITION, REGION
from devstack.gateway.invocations import Invoke

__all__ = ["Cron", "Rate", "event_of", "fire", "parse"]

_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_DAYS = "SUN MON TUE WED THU FRI SAT".split()
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")


@dataclass(frozen=True)
class Rate:
    """A fixed interval, counted from the start."""

    every: timedelta

    def after(self, moment: datetime) -> datetime:
        """The next time."""
        return moment + self.every


@dataclass(frozen=True)
class Cron:
    """The minutes that match every field; day 1 of the week is Sunday."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]

    def matches(self, moment: datetime) -> bool:
        """Whether the expression matches the minute."""
        return (
            moment.minute in self.minutes
            and moment.hour in self.hours
            and moment.day in self.days
            and moment.month in self.months
            and moment.isoweekday() % 7 + 1 in self.weekdays
            and moment.year in self.years
        )

    def after(self, moment: datetime) -> datetime:
        """The next time; ValueError when there is none within ten years."""
        minute = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        last = minute + timedelta(days=3660)
        while minute < last:
            if self.matches(minute):
                return minute
            step = timedelta(minutes=1)
            if minute.day not in self.days or minute.month not in self.months:
                step = timedelta(days=1) - timedelta(hours=minute.hour, minutes=minute.minute)
            minute += step
        raise ValueError("the expression names no time in the next ten years")


def parse(expression: str) -> Rate | Cron:
    """Read a schedule expression. Raises TemplateError for one that is not supported here (at, L, W, #)."""
    if found := _RATE.fullmatch(expression):
        return Rate(timedelta(**{f"{found[2]}s": int(found[1])}))
    found = _CRON.fullmatch(expression)
    if found is None:
        raise TemplateError(f"{expression} is no schedule expression that is served here")
    try:
        return Cron(
            minutes=_field(found[1], 0, 59),
            hours=_field(found[2], 0, 23),
            days=_field(found[3], 1, 31),
            months=_field(found[4], 1, 12, _MONTHS),
            weekdays=_field(found[5], 1, 7, _DAYS),
            years=_field(found[6], 1970, 2199),
        )
    except ValueError as error:
        raise TemplateError(f"{expression} is no schedule expression that is served here: {error}") from error


def _field(text: str, least: int, most: int, names: list[str] | None = None) -> frozenset[int]:
    values: set[int] = set()
    for part in text.upper().split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = least, most
        else:
            start, _, end = span.partition("-")
            first = _number(start, names)
            last = _number(end, names) if end else (most if step else first)
        if not least <= first <= last <= most:
            raise ValueError(f"{part} is not between {least} and {most}")
        values.update(range(first, last + 1, int(step or 1)))
    return frozenset(values)


def _number(text: str, names: list[str] | None) -> int:
    return names.index(text) + 1 if names and text in names else int(text)


def event_of(schedule: Schedule, moment: datetime) -> bytes:
    """The event for the function: the schedule's input, or the event that AWS makes."""
    if schedule.input is not None:
        return schedule.input.encode()
    newer = schedule.kind == "ScheduleV2"
    service, resource = ("scheduler", "schedule/default") if newer else ("events", "rule")
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": f"aws.{service}",
        "account": ACCOUNT,
        "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}/{schedule.name}"],
        # EventBridge Scheduler sends the detail as a string.
        "detail": "{}" if newer else {},
    }
    return json.dumps(event).encode()


async def fire(
    schedule: Schedule, times: Rate | Cron, invoke: Invoke, log: Callable[[str, str], None]
) -> None:
    """Invoke the function at every time of its schedule, one run at a time, until cancelled."""
    zone = ZoneInfo(schedule.time_zone)
    moment = datetime.now(zone)
    while True:
        # After a run longer than the interval, one run follows at once, not all that were missed.
        moment = max(times.after(moment), datetime.now(zone))
        await asyncio.sleep(max(0.0, (moment - datetime.now(zone)).total_seconds()))
        answer = await invoke(schedule.function, event_of(schedule, moment))
        if answer.failed:
            log(schedule.function, f"{schedule.name}: {answer.payload.decode(errors='replace')}")
