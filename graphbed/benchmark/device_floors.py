"""The floors of a GPU, or of any device of torch: matrix products in float32 and rows moved in its own memory."""

import time
from collections.abc import Callable

import torch

from graphbed.benchmark.crew import Rate
from graphbed.benchmark.floors import touched_rows
from graphbed.benchmark.workload import Workload

MATRIX = 2048
"""Rows and columns of the matrices: enough work for all of a GPU."""
SOME_ROWS = 1 << 18
"""Rows that are moved at once."""


class DeviceFloors:
    """The rates of one device, measured a little at a time."""

    def __init__(self, workload: Workload, device: torch.device) -> None:
        self._device = device
        self._matrix = torch.ones((MATRIX, MATRIX), device=device)
        self._product = torch.empty_like(self._matrix)
        self._table = torch.from_numpy(workload.lhs.embeddings).to(device)
        self._rows = torch.from_numpy(touched_rows(workload, SOME_ROWS, seed=0)).to(device)
        self._buffer = torch.zeros((SOME_ROWS, self._table.shape[1]), device=device)

    def multiplied(self, seconds: float) -> Rate:
        """Floating-point operations of matrix products in float32."""
        return self._measure(
            seconds, 2 * MATRIX**3, lambda: torch.matmul(self._matrix, self._matrix, out=self._product)
        )

    def gathered(self, seconds: float) -> Rate:
        """Rows copied from random places of the lhs table."""
        return self._measure(
            seconds, SOME_ROWS, lambda: torch.index_select(self._table, 0, self._rows, out=self._buffer)
        )

    def scattered(self, seconds: float) -> Rate:
        """Rows added to random places of a copy of the lhs table."""
        return self._measure(seconds, SOME_ROWS, lambda: self._table.index_add_(0, self._rows, self._buffer, alpha=0.0))

    def _measure(self, seconds: float, amount: int, work: Callable[[], object]) -> Rate:
        """Do `work` until `seconds` have passed; it does `amount` each time."""
        self._wait()
        wall_began, cpu_began, done = time.perf_counter(), time.thread_time(), 0
        while done == 0 or time.perf_counter() - wall_began < seconds:
            work()
            self._wait()
            done += amount
        wall, cpu = time.perf_counter() - wall_began, time.thread_time() - cpu_began
        return Rate(per_second=done / wall, per_core_second=done / cpu)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
