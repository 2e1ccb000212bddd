"""Floors: how fast this machine multiplies matrices and moves random rows, which bounds what a kernel can reach.

The arithmetic of an edge is 6·N·D operations for each side that has N negatives (2·N·D for the scores, twice as much on
the way back) and 10·D for the rest. Its bytes are the rows of its chunk, each read once and added to once.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from graphbed.benchmark.crew import Rate, work_for
from graphbed.benchmark.workload import Workload

MATRIX = 512
"""Rows and columns of the matrices: large enough for a BLAS's best rate, small enough to stay in the cache."""
SOME_ROWS = 1 << 14
"""Rows that are moved between two looks at the stop flag."""


def operations(workload: Workload) -> float:
    """Floating-point operations of one edge."""
    dimension = workload.lhs.embeddings.shape[1]
    return edge_operations(sides=workload.sides, negatives=workload.negatives, dimension=dimension)


def edge_operations(*, sides: int, negatives: int, dimension: int) -> float:
    """Floating-point operations of an edge with N `negatives` on each of its `sides`, at `dimension` D."""
    return float(6 * sides * negatives * dimension + 10 * dimension)


def rows_moved(workload: Workload) -> float:
    """Rows of one edge: its own, and its share of those that its chunk draws."""
    hyper = workload.hyper
    drawn = workload.negatives if hyper.all_negatives else hyper.uniform_negatives
    return 2 + workload.sides * drawn / hyper.chunk_edges


Move = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]], None]
"""Moves rows between a table and a buffer."""


class Floors(Protocol):
    """Rates of one machine, each measured for some seconds."""

    def multiplied(self, seconds: float) -> Rate: ...

    def gathered(self, seconds: float) -> Rate: ...

    def scattered(self, seconds: float) -> Rate: ...


class MatrixProducts:
    """How fast `threads` threads multiply matrices of float32, measured a little at a time."""

    def __init__(self, *, threads: int) -> None:
        generator = np.random.default_rng(threads)
        self._matrices = [generator.random((MATRIX, MATRIX), np.float32) for _ in range(threads)]
        self._products = [np.empty((MATRIX, MATRIX), np.float32) for _ in range(threads)]
        self._stop = threading.Event()

    def measured(self, seconds: float) -> Rate:
        """Floating-point operations."""
        return _rate(seconds, self._multiply, len(self._matrices), self._stop)

    def _multiply(self, place: int) -> int:
        products = 0
        while not self._stop.is_set():
            # NumPy's product lets other threads run; that of scipy.linalg.blas does not.
            np.matmul(self._matrices[place], self._matrices[place], out=self._products[place])
            products += 1
        return products * 2 * MATRIX**3


class CpuFloors:
    """The rates of `threads` threads, measured a little at a time."""

    def __init__(self, workload: Workload, *, threads: int) -> None:
        self._products = MatrixProducts(threads=threads)
        self._rows = [touched_rows(workload, 64 * SOME_ROWS, seed=place) for place in range(threads)]
        shape = (SOME_ROWS, workload.lhs.embeddings.shape[1])
        self._copies = [np.empty(shape, np.float32) for _ in range(threads)]
        self._zeros = [np.zeros(shape, np.float32) for _ in range(threads)]
        self._table = workload.lhs.embeddings
        self._stop = threading.Event()
        for seconds in (0.0, 0.0):  # compiles both
            self.gathered(seconds)
            self.scattered(seconds)

    def multiplied(self, seconds: float) -> Rate:
        """Floating-point operations of matrix products in float32."""
        return self._products.measured(seconds)

    def gathered(self, seconds: float) -> Rate:
        """Rows copied from random places of the lhs table."""
        return self._measure(seconds, lambda place: self._move(_gather, place, self._copies[place]))

    def scattered(self, seconds: float) -> Rate:
        """Rows added to random places of the lhs table; zeros, so that nothing changes."""
        return self._measure(seconds, lambda place: self._move(_scatter, place, self._zeros[place]))

    def _move(self, move: Move, place: int, buffer: NDArray[np.float32]) -> int:
        rows, moved = self._rows[place], 0
        while not self._stop.is_set():
            first = moved % (len(rows) - SOME_ROWS + 1)
            move(self._table, rows[first : first + SOME_ROWS], buffer)
            moved += SOME_ROWS
        return moved

    def _measure(self, seconds: float, work: Callable[[int], int]) -> Rate:
        return _rate(seconds, work, len(self._rows), self._stop)


def _rate(seconds: float, work: Callable[[int], int], threads: int, stop: threading.Event) -> Rate:
    """What `work` gets done on so many threads, each at its place, until `stop` is set."""
    stop.clear()
    return work_for(seconds, [partial(work, place) for place in range(threads)], stop.set)


def touched_rows(workload: Workload, count: int, *, seed: int) -> NDArray[np.int64]:
    """Rows of the lhs table as a kernel touches them: those of random edges and drawn ones, in their proportion."""
    generator = np.random.default_rng(seed)
    rows = workload.edges.lhs_rows[generator.integers(0, len(workload.edges.lhs_rows), count)]
    drawn = generator.random(count) < 1 - 2 / rows_moved(workload)
    uniform = generator.integers(0, workload.lhs.trainable_rows, count)
    return np.where(drawn, uniform, rows)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _gather(table: NDArray[np.float32], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    for p in range(rows.shape[0]):
        row = rows[p]
        for d in range(out.shape[1]):
            out[p, d] = table[row, d]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _scatter(table: NDArray[np.float32], rows: NDArray[np.int64], added: NDArray[np.float32]) -> None:
    for p in range(rows.shape[0]):
        row = rows[p]
        for d in range(added.shape[1]):
            table[row, d] += added[p, d]
