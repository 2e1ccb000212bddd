"""Measuring: a kernel and its floors in turns, so that whatever else the machine does slows both."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from graphbed.benchmark.crew import Rate, work_for
from graphbed.benchmark.floors import Floors, operations, rows_moved
from graphbed.benchmark.workload import Lap, Workload
from graphbed.errors import NotFinite
from graphbed.model.kernel import PHASES, Kernel

KERNEL_SECONDS = 0.5
ARITHMETIC_SECONDS = 0.2
ROWS_SECONDS = 0.1
ROUND_SECONDS = KERNEL_SECONDS + ARITHMETIC_SECONDS + 2 * ROWS_SECONDS

HEADLINE_THREADS = 48
"""Of the machine on which PyTorch-BigGraph trains more than a million edges a second, with 100 negatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Medians over the rounds; shares are medians of the ratios of one round."""

    edges_per_second: float
    floor_edges_per_second: float
    """If nothing took time but the arithmetic."""
    share_of_floor: float
    share_of_floor_quartiles: tuple[float, float]
    share_of_floor_by_processor_time: float
    """The same for each second of processor time: steadier where others use the machine."""
    floor_with_bytes_edges_per_second: float
    """If gathering and adding rows took time as well, and nothing overlapped."""
    share_of_floor_with_bytes: float
    edges_per_second_per_core: float
    """Edges for each second of processor time of the threads: what a core does while nobody else has it."""
    extrapolated_edges_per_second: float
    """That, times HEADLINE_THREADS: an extrapolation, which no machine has shown."""
    phases: Mapping[str, float]
    """Share of the kernel's time by phase."""
    loss_per_edge: float
    """Over all edges that were trained."""
    flops_per_second: float
    gathered_rows_per_second: float
    scattered_rows_per_second: float
    rounds: int


def measure(workload: Workload, kernel: Kernel, floors: Floors, *, threads: int, seconds: float) -> Report:
    """Measure for about `seconds`, at least two rounds, after one that does not count. Raises NotFinite."""
    laps = [Lap(workload, kernel, place=place, places=threads) for place in range(threads)]
    train(laps, KERNEL_SECONDS)
    for lap in laps:
        lap.control.phases[:] = 0
    rounds = [
        (
            train(laps, KERNEL_SECONDS),
            floors.multiplied(ARITHMETIC_SECONDS),
            floors.gathered(ROWS_SECONDS),
            floors.scattered(ROWS_SECONDS),
        )
        for _ in range(max(round(seconds / ROUND_SECONDS), 2))
    ]
    edges, flops, gathered, scattered = (
        np.array([one.per_second for one in column]) for column in zip(*rounds, strict=True)
    )
    floor_seconds = operations(workload) / flops
    with_bytes = floor_seconds + rows_moved(workload) * (1 / gathered + 1 / scattered)
    shares = edges * floor_seconds
    per_core = median(one[0].per_core_second for one in rounds)
    phases = np.sum([lap.control.phases for lap in laps], axis=0)
    return Report(
        edges_per_second=float(np.median(edges)),
        floor_edges_per_second=float(np.median(1 / floor_seconds)),
        share_of_floor=float(np.median(shares)),
        share_of_floor_by_processor_time=median(
            operations(workload) * trained.per_core_second / multiplied.per_core_second
            for trained, multiplied, *_ in rounds
        ),
        share_of_floor_quartiles=(float(np.quantile(shares, 0.25)), float(np.quantile(shares, 0.75))),
        floor_with_bytes_edges_per_second=float(np.median(1 / with_bytes)),
        share_of_floor_with_bytes=float(np.median(edges * with_bytes)),
        edges_per_second_per_core=per_core,
        extrapolated_edges_per_second=per_core * HEADLINE_THREADS,
        phases={name: float(share) for name, share in zip(PHASES, phases / max(phases.sum(), 1), strict=True)},
        loss_per_edge=sum(float(lap.control.loss[0]) for lap in laps)
        / max(sum(int(lap.control.progress[0]) for lap in laps), 1),
        flops_per_second=float(np.median(flops)),
        gathered_rows_per_second=float(np.median(gathered)),
        scattered_rows_per_second=float(np.median(scattered)),
        rounds=len(rounds),
    )


def train(laps: list[Lap], seconds: float) -> Rate:
    """Edges of all laps at once for `seconds`; raises NotFinite."""
    for lap in laps:
        lap.control.stop[0] = 0

    def stop() -> None:
        for lap in laps:
            lap.control.stop[0] = 1

    rate = work_for(seconds, [lap.run for lap in laps], stop)
    if any(lap.control.failed[0] for lap in laps):
        raise NotFinite(where="the loss of the benchmark")
    return rate
