"""Crew: threads that do the same for a while, and how much they got done."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast a crew was; the units are those of the work."""

    per_second: float
    """Of all threads together."""
    per_core_second: float
    """For each second that a core gave to one of them: on an idle machine, `per_second` divided by the threads."""


def work_for(seconds: float, works: Sequence[Callable[[], int]], stop: Callable[[], None]) -> Rate:
    """Run each of `works` in a thread of its own, call `stop` after `seconds`, and wait until all have returned.

    A work returns how much it did, and does so soon after `stop`.
    """
    done, wall, cpu = [0] * len(works), [0.0] * len(works), [0.0] * len(works)

    def run(place: int, work: Callable[[], int]) -> None:
        wall_began, cpu_began = time.perf_counter(), time.thread_time()
        done[place] = work()
        wall[place], cpu[place] = time.perf_counter() - wall_began, time.thread_time() - cpu_began

    threads = [threading.Thread(target=run, args=place_and_work) for place_and_work in enumerate(works)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop()
    for thread in threads:
        thread.join()
    return Rate(
        per_second=sum(amount / taken for amount, taken in zip(done, wall, strict=True)),
        per_core_second=sum(done) / sum(cpu),
    )
