"""Measuring: the floors' formulas, the threads' ways through the edges, and what a report says."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from graphbed.benchmark.device_floors import DeviceFloors
from graphbed.benchmark.floors import CpuFloors, Floors, operations, rows_moved
from graphbed.benchmark.measure import HEADLINE_THREADS, measure
from graphbed.benchmark.subject import synthetic_subject
from graphbed.benchmark.workload import Lap, Workload
from graphbed.config.job import JobConfig
from graphbed.errors import NotFinite
from graphbed.model.kernel import Control, EdgeSlice, KernelSpec
from graphbed.model.reference_kernel import reference_kernel


def workload(*, nodes: int = 60, edges: int = 400, **changes: object) -> Workload:
    document = {
        "job": "j",
        "graph": "g",
        "entities": {"node": {}},
        "relations": [{"name": "*", "lhs": "node", "rhs": "node"}],
        "dimension": 8,
        "comparator": "dot",
        "num_batch_negs": 10,
        "num_uniform_negs": 10,
        **changes,
    }
    return Workload.create(synthetic_subject(JobConfig.model_validate(document), nodes=nodes, edges=edges, relations=1))


def test_the_arithmetic_of_an_edge_is_that_of_both_sides():
    both = workload(dimension=100, num_batch_negs=50, num_uniform_negs=50)
    assert operations(both) == 12 * 100 * 100 + 10 * 100
    assert rows_moved(both) == 4
    one = workload(dimension=100, num_batch_negs=0, num_uniform_negs=50, disable_lhs_negs=True)
    assert operations(one) == 6 * 50 * 100 + 10 * 100
    assert rows_moved(one) == 3


class CountingKernel:
    """Counts how often each edge is trained, and asks to stop after `limit` calls."""

    def __init__(self, spec: KernelSpec, edges: int, limit: int) -> None:
        self.spec = spec
        self.seen = np.zeros(edges, np.int64)
        self.seeds: list[int] = []
        self._limit = limit

    def train_slice(self, edges: EdgeSlice, *, control: Control, seed: int, **_: object) -> None:
        # The last chunk is left, as if the stop flag had been set during the call, unless it is the only one.
        chunks = max(edges.chunks - 1, 1)
        first, last = int(edges.chunk_starts[0]), int(edges.chunk_starts[chunks])
        self.seen[first:last] += 1
        control.progress[0] += last - first
        self.seeds.append(seed)
        if len(self.seeds) == self._limit:
            control.stop[0] = 1


def test_a_thread_goes_through_its_part_again_and_again_wherever_it_was_stopped():
    work = workload()
    kernel = CountingKernel(work.spec, edges=400, limit=4)
    second = Lap(work, kernel, place=1, places=2)
    assert second.run() == 400
    assert kernel.seen.tolist() == [0] * 200 + [2] * 200
    assert kernel.seeds == [0, 0, 1, 1]


@pytest.mark.parametrize("make", [partial(CpuFloors, threads=1), partial(DeviceFloors, device=torch.device("cpu"))])
def test_a_report_compares_rates_of_the_same_run(make: Callable[[Workload], Floors]):
    work = workload()
    floors = make(work)
    report = measure(work, reference_kernel(work.spec), floors, threads=1, seconds=1)
    assert report.rounds == 2
    assert 0 < report.share_of_floor < 1 and 0 < report.share_of_floor_by_processor_time < 1
    assert report.share_of_floor < report.share_of_floor_with_bytes
    assert report.floor_with_bytes_edges_per_second < report.floor_edges_per_second
    assert report.floor_edges_per_second == pytest.approx(report.flops_per_second / operations(work))
    assert report.extrapolated_edges_per_second == report.edges_per_second_per_core * HEADLINE_THREADS
    assert report.loss_per_edge > 0


@pytest.mark.parametrize("make", [partial(CpuFloors, threads=2), partial(DeviceFloors, device=torch.device("cpu"))])
def test_measuring_the_floors_leaves_the_table_as_it_is(make: Callable[[Workload], Floors]):
    work = workload()
    before, floors = work.lhs.embeddings.copy(), make(work)
    for rate in (floors.gathered(0.05), floors.scattered(0.05), floors.multiplied(0.05)):
        assert rate.per_second > 0 and rate.per_core_second > 0
    np.testing.assert_array_equal(work.lhs.embeddings, before)


def test_a_loss_that_is_not_finite_ends_the_measuring():
    work = workload()
    floors = CpuFloors(work, threads=1)
    work.lhs.embeddings[:] = np.nan
    with pytest.raises(NotFinite):
        measure(work, reference_kernel(work.spec), floors, threads=1, seconds=1)
