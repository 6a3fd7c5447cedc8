"""Timing: the same work done by several contenders in turn, so that a busy machine is busy for all of them alike."""

from __future__ import annotations

import asyncio
import gc
import inspect
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal, TypeAlias

from benchmarks.report import Goal, Line

Block: TypeAlias = Callable[[int], object | Awaitable[object]]
"""Does the work so many times and gives the last answer. A coroutine function is awaited in the running loop."""


CacheKey: TypeAlias = Literal["µs", "ms"]

WARM_BLOCKS, WARM_SECONDS = 3, 0.2
"""A contender is warm after so many blocks, or so long."""


class WrongAnswerError(Exception):
    """A contender did not do the work."""


@dataclass(frozen=True)
class Contender:
    """`is_right` looks at the last answer of every block, outside the measured time."""

    name: str
    block: Block
    is_right: Callable[[object], bool]


@dataclass
class Timing:
    """Nanoseconds a call of each block: on the wall, and of the CPU, all threads of this process together."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def repeated(name: str, work: Callable[[], Any], is_right: Callable[[Any], bool]) -> Contender:
    """A contender whose work takes no arguments."""

    def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = work()
        return answer

    return Contender(name, block, is_right)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(part * len(ordered)) - 1, 0)]


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds: what slows the machine for a while slows both sides of a round."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


async def race(contenders: Sequence[Contender], *, rounds: int, calls: int) -> dict[str, Timing]:
    """In each round every contender does its block of calls; another one begins each time.

    The garbage collector waits meanwhile, as in timeit.
    """
    timings = {contender.name: Timing() for contender in contenders}
    for contender in contenders:  # caches, connections, specialised byte code
        start = time.perf_counter()
        for _ in range(WARM_BLOCKS):
            await _timed(contender, calls)
            if time.perf_counter() > start + WARM_SECONDS:
                break
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            start = number % len(contenders)
            for contender in (*contenders[start:], *contenders[:start]):
                wall, cpu = await _timed(contender, calls)
                timings[contender.name].wall.append(wall)
                timings[contender.name].cpu.append(cpu)
    finally:
        gc.enable()
    return timings


async def _timed(contender: Contender, calls: int) -> tuple[float, float]:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    answer = contender.block(calls)
    if inspect.isawaitable(answer):
        answer = await answer
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    if not contender.is_right(answer):
        raise WrongAnswerError(f"{contender.name} gave {answer!r}")
    return wall / calls, cpu / calls


def lines(work: str, timings: Mapping[str, Timing], goals: Mapping[str, float], unit: CacheKey = "µs") -> list[Line]:
    """The first contender is ours: its line, and one for each peer with our ratio to it; `goals` by the peer's name."""
    ours = next(iter(timings))
    one = {"µs": 1e3, "ms": 1e6}[unit]
    made = []
    for name, timing in timings.items():
        made.append(
            Line(
                work,
                name,
                unit,
                median=statistics.median(timing.wall) / one,
                p99=percentile(timing.wall, 0.99) / one,
                cpu=statistics.median(timing.cpu) / one,
                ratio=None if name == ours else median_ratio(timings[ours].wall, timing.wall),
                cpu_ratio=None if name == ours else median_ratio(timings[ours].cpu, timing.cpu),
                goals=(Goal("ratio", goals[name]),) if name in goals else (),
            )
        )
    return made


def compare(
    work: str,
    contenders: Sequence[Contender],
    goals: Mapping[str, float],
    *,
    rounds: int,
    calls: int,
    unit: CacheKey = "µs",
) -> list[Line]:
    """A race outside of any loop, told as lines."""
    return lines(work, asyncio.run(race(contenders, rounds=rounds, calls=calls)), goals, unit)


def counted(work: str, who: str, unit: str, values: Sequence[float], *goals: Goal, ratio: float | None = None) -> Line:
    """A line for what is not a time of calls: reads, round trips, delays, bytes."""
    return Line(
        work,
        who,
        unit,
        median=statistics.median(values),
        p99=percentile(values, 0.99),
        worst=max(values),
        ratio=ratio,
        goals=goals,
    )
