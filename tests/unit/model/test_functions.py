"""The small functions of the CPU kernel, uncompiled."""

import inspect
import time

import numpy as np
import pytest
import torch

from graphbed.config.choices import Optimizer
from graphbed.model.cpu import random, rows, slots, source
from graphbed.model.cpu.blocks import products
from graphbed.model.cpu.exponential import exp32, softplus_of_exp
from graphbed.model.cpu.intrinsics import matmul, maximum, nanoseconds
from graphbed.model.cpu.phases import LOSS, SCORES, end_phase, start_clock
from graphbed.model.cpu.slice import next_chunk
from graphbed.model.device.draws import cpu_kernel_draws
from tests.unit.model.problems import all_specs


def draw_rows(seed: int, first_edge: int, first: int, draws: int, rows: int) -> np.ndarray:
    return cpu_kernel_draws(seed, [first_edge], torch.device("cpu"))(first, draws, rows)[0].numpy()


def test_exp_is_within_four_ulp_and_exactly_zero_far_below():
    x = np.linspace(-80, 80, 4001, dtype=np.float32)
    got = np.array([exp32(value) for value in x], np.float64)
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)), rtol=4e-6)
    assert exp32(np.float32(-1e30)) == 0
    assert exp32(np.float32(0)) == 1
    assert np.isfinite(exp32(np.float32(1e30)))


def test_softplus_of_exp_is_log_1_plus():
    x = np.linspace(0, 1, 1001, dtype=np.float32)
    got = np.array([softplus_of_exp(value) for value in x], np.float64)
    np.testing.assert_allclose(got, np.log1p(x.astype(np.float64)), atol=2e-7)


def test_both_kernels_draw_the_same_rows():
    for seed in (0, 1, 2**64 - 1):
        out = np.empty(100, np.int64)
        with np.errstate(over="ignore"):
            random.draw_rows(random.chunk_key(np.uint64(seed), 640), 7, 14_541, out)
        np.testing.assert_array_equal(out, draw_rows(seed, 640, 7, 100, 14_541))


def test_draws_are_uniform():
    counts = np.bincount(draw_rows(3, 0, 0, 100_000, 10), minlength=10)
    assert counts.sum() == 100_000
    # Chi-squared with 9 degrees of freedom: above 33.7 once in 10,000 times, and the seed is fixed.
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 33.7


def test_chunks_draw_differently():
    assert not np.array_equal(draw_rows(3, 0, 0, 20, 1000), draw_rows(3, 1, 0, 20, 1000))


def test_owners_are_the_first_places_of_equal_rows():
    generator = np.random.default_rng(0)
    places = generator.integers(0, 30, 64)
    slots_of_hash, owner = np.empty(128, np.int64), np.empty(64, np.int64)
    rows.clear(slots_of_hash)
    with np.errstate(over="ignore"):
        rows.find_owners(places, 0, 64, slots_of_hash, owner)
    first = {row: place for place, row in reversed(list(enumerate(places.tolist())))}
    assert owner.tolist() == [first[row] for row in places.tolist()]


def test_matmul_adds_to_what_is_there_when_asked():
    a, b = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    out = np.full((2, 4), 5, np.float32)
    matmul(a, b, out, True)
    assert (out == 8).all()
    matmul(a, b, out, False)
    assert (out == 3).all()


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_few_derivatives_give_the_same_gradients_as_many(share: float, add: bool):
    draw = np.random.default_rng(0)
    queries, candidates = draw.random((20, 5), np.float32), draw.random((30, 5), np.float32)
    grads = np.where(draw.random((20, 30)) < share, draw.random((20, 30)), 0).astype(np.float32)
    assert products.has_few(grads) == (share < 0.05)
    by_query, by_candidate = np.ones((20, 5), np.float32), np.ones((30, 5), np.float32)
    products.pull_back_block(grads, grads, queries, candidates, by_query, add, by_candidate, add)
    np.testing.assert_allclose(by_query, grads @ candidates + add, rtol=1e-5)
    np.testing.assert_allclose(by_candidate, grads.T @ queries + add, rtol=1e-5)


def test_nan_among_derivatives_is_never_skipped():
    grads = np.zeros((20, 20), np.float32)
    grads[3, 4] = np.nan
    ones, by_query, by_candidate = (np.ones((20, 2), np.float32) for _ in range(3))
    products.pull_back_block(grads, grads, ones, ones, by_query, False, by_candidate, False)
    assert np.isnan(by_query[3]).all() and np.isnan(by_candidate[4]).all()
    assert not np.isnan(by_query[2]).any()


def test_the_larger_one_is_nan_if_one_is():
    assert maximum(np.float32(1), np.float32(2)) == 2
    assert np.isnan(maximum(np.float32(np.nan), np.float32(2))) and np.isnan(maximum(np.float32(2), np.float32(np.nan)))


def test_a_clock_counts_each_phase_for_itself():
    clock = np.zeros(6, np.int64)
    before = nanoseconds()
    start_clock(clock)
    end_phase(clock, SCORES)
    time.sleep(0.01)
    end_phase(clock, LOSS)
    assert clock[LOSS] >= 10_000_000 and clock[SCORES] >= 0
    assert clock[LOSS] + clock[SCORES] <= nanoseconds() - before
    assert clock[:5].sum() == clock[LOSS] + clock[SCORES]


def test_chunks_without_edges_are_passed_over():
    starts = np.array([0, 0, 5, 5, 5, 8, 8], np.int64)
    assert [next_chunk(starts, chunk) for chunk in (-1, 1, 4)] == [1, 4, 6]
    assert next_chunk(np.array([0, 0], np.int64), -1) == 1


OF_SOME_COMPARATORS = {"distance_score", "distance_weight", "gap_score", "add_gap_grads"}


@pytest.mark.parametrize("optimizer", Optimizer)
def test_every_choice_defines_each_slot_with_its_signature(optimizer: Optimizer):
    names = [name for name, value in vars(slots).items() if inspect.isfunction(value)]
    for spec in all_specs(optimizer):
        namespace: dict[str, object] = {"np": np, "compiled": lambda function: function}
        names_of_header = "Edges, Known, Learned, Numbers, Side, Workspace"
        exec(f"from graphbed.model.cpu.workspace import {names_of_header}\n" + source.body(spec), namespace)
        for name in names:
            if name in OF_SOME_COMPARATORS and name not in namespace:
                continue
            assert inspect.signature(namespace[name]) == inspect.signature(getattr(slots, name)), (spec.name, name)
