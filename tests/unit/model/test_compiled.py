"""Compiled kernels against the reference, with threads, and against misuse."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from graphbed.config.choices import Comparator, Loss, Operator, Optimizer, Regularizer
from graphbed.model.cpu_kernel import cpu_kernel
from graphbed.model.kernel import Control, EdgeSlice, KernelSpec, Table
from graphbed.model.reference_kernel import reference_kernel
from tests.unit.model.problems import Problem, problem

QUICKSTART = KernelSpec(
    operator=Operator.COMPLEX_DIAGONAL,
    comparator=Comparator.DOT,
    loss=Loss.SOFTMAX,
    reciprocal=True,
    optimizer=Optimizer.ROW_ADAGRAD,
)
# Together with the first, these hold every loss, step and Adagrad in compiled form, and the kinds of comparators.
COMPILED = [
    QUICKSTART,
    KernelSpec(
        operator=Operator.TRANSLATION,
        comparator=Comparator.COS,
        loss=Loss.RANKING,
        reciprocal=False,
        optimizer=Optimizer.ADAGRAD,
    ),
    KernelSpec(
        operator=Operator.DIAGONAL,
        comparator=Comparator.DOT,
        loss=Loss.LOGISTIC,
        reciprocal=False,
        optimizer=Optimizer.ROW_ADAGRAD,
    ),
    KernelSpec(
        operator=Operator.AFFINE,
        comparator=Comparator.L2,
        loss=Loss.SELF_ADVERSARIAL,
        reciprocal=True,
        optimizer=Optimizer.ADAGRAD,
        regularizer=Regularizer.L2,
        bias=True,
    ),
]

slow_to_compile = pytest.mark.timeout(600)


def differences(left: Problem, right: Problem) -> float:
    """Largest absolute difference between anything trained, relative to the largest number of its array."""
    pairs = [*zip(left.arrays().values(), right.arrays().values(), strict=True)]
    pairs += zip(left.sums().values(), right.sums().values(), strict=True)
    return max(float(np.abs(a - b).max(initial=0) / np.abs(b).max(initial=1)) for a, b in pairs)


@slow_to_compile
@pytest.mark.xdist_group("kernels")
@pytest.mark.parametrize("one_table", [True, False])
@pytest.mark.parametrize(("batch", "uniform"), [(20, 30), (20, 0), (0, 25)])
@pytest.mark.parametrize("spec", COMPILED, ids=lambda spec: spec.name)
def test_the_compiled_kernel_does_what_the_reference_does(spec: KernelSpec, batch: int, uniform: int, one_table: bool):
    def subject() -> Problem:
        return problem(
            spec,
            chunks=(20, 20, 7, 1, 0, 20),
            batch=batch,
            uniform=uniform,
            dimension=34,
            rows=40,
            one_table=one_table,
            regularization=0.01,
            other_side_negatives=uniform >= max(batch, 1),
        )

    compiled, reference = subject(), subject()
    control, expected = compiled.train(cpu_kernel(spec)), reference.train(reference_kernel(spec))
    assert differences(compiled, reference) < 1e-4
    assert differences(compiled, subject()) > 1e-2
    assert control.loss[0] == pytest.approx(expected.loss[0], rel=1e-5)
    assert control.progress[0] == expected.progress[0] == 68
    assert not control.failed[0]


@slow_to_compile
@pytest.mark.xdist_group("kernels")
def test_the_same_seed_gives_the_same_bits_however_the_chunks_are_dealt():
    whole, parts, other = (problem(QUICKSTART, chunks=(9,) * 6, batch=9, rows=50) for _ in range(3))
    kernel = cpu_kernel(QUICKSTART)
    whole.train(kernel)
    for first, stop in ((0, 1), (1, 4), (4, 6)):
        replace(parts, edges=parts.edges.part(first, stop)).train(kernel)
    other.train(kernel, seed=12)
    np.testing.assert_array_equal(whole.lhs.embeddings, parts.lhs.embeddings)
    assert not np.array_equal(whole.lhs.embeddings, other.lhs.embeddings)


@slow_to_compile
@pytest.mark.xdist_group("kernels")
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [cpu_kernel, reference_kernel])
@pytest.mark.parametrize("spec", COMPILED, ids=lambda spec: spec.name)
def test_a_number_that_is_not_finite_ends_the_call(spec: KernelSpec, make, number: float):
    subject = problem(spec, chunks=(4,) * 50, rows=10)
    subject.lhs.embeddings[3, 1] = number
    control = subject.train(make(spec))
    assert control.failed[0]
    assert 0 < control.progress[0] < 200


@slow_to_compile
@pytest.mark.xdist_group("kernels")
def test_a_running_kernel_leaves_the_interpreter_free_and_obeys_the_stop_flag():
    subject = problem(QUICKSTART, chunks=(64,) * 40_000, batch=64, uniform=200, dimension=100, rows=1000, lr=1e-3)
    kernel, control = cpu_kernel(QUICKSTART), Control.create()

    def train() -> None:
        kernel.train_slice(
            subject.edges,
            lhs=subject.lhs,
            rhs=subject.rhs,
            parameters=subject.parameters,
            hyper=subject.hyper,
            control=control,
            seed=0,
        )

    thread = threading.Thread(target=train)
    thread.start()
    deadline = time.monotonic() + 60
    while control.progress[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    control.stop[0] = 1
    thread.join(10)
    assert not thread.is_alive()
    assert 0 < control.progress[0] < subject.edges.edges


@slow_to_compile
@pytest.mark.xdist_group("kernels")
def test_threads_on_one_table_train_every_edge():
    subject = problem(QUICKSTART, chunks=(32,) * 40, batch=32, uniform=20, dimension=16, rows=500, lr=0.1)
    subject.lhs.embeddings[:] *= 0.01
    subject.parameters.lhs.values[:] = subject.parameters.rhs.values[:] = 1
    kernel, controls = cpu_kernel(QUICKSTART), [Control.create() for _ in range(2)]

    def epoch(seed: int) -> float:
        before = sum(control.loss[0] for control in controls)
        threads = [
            threading.Thread(
                target=kernel.train_slice,
                args=(subject.edges.part(20 * place, 20 * place + 20),),
                kwargs={
                    "lhs": subject.lhs,
                    "rhs": subject.rhs,
                    "parameters": subject.parameters,
                    "hyper": subject.hyper,
                    "control": control,
                    "seed": seed,
                },
            )
            for place, control in enumerate(controls)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(control.loss[0] for control in controls) - before

    losses = [epoch(seed) for seed in range(8)]
    assert sum(control.progress[0] for control in controls) == 8 * 40 * 32
    assert losses[-1] < 0.8 * losses[0]


@slow_to_compile
@pytest.mark.xdist_group("kernels")
@pytest.mark.parametrize("make", [cpu_kernel, reference_kernel])
def test_arguments_that_do_not_fit_are_refused_before_anything_is_written(make):
    kernel, good = make(QUICKSTART), problem(QUICKSTART)
    edges, lhs = good.edges, good.lhs

    def edited(**columns: np.ndarray) -> Problem:
        return replace(good, edges=replace(edges, **columns))

    read_only = edges.weight.copy()
    read_only.flags.writeable = False
    bad = {
        "outside": edited(lhs_rows=edges.lhs_rows + 6),
        "outside 0": edited(rhs_rows=edges.rhs_rows - 6),
        "relation_rows": edited(relation_rows=edges.relation_rows + np.int32(3)),
        "int32": edited(relation_rows=edges.relation_rows.astype(np.int64)),
        "read-only": edited(weight=read_only),
        "chunk_starts": edited(chunk_starts=np.array([0, 5])),
        "float32": replace(good, lhs=Table(embeddings=lhs.embeddings.astype(np.float64), sums=lhs.sums)),
        "sums": replace(good, rhs=Table(embeddings=lhs.embeddings, sums=np.ones((6, 4), np.float32))),
        "embeddings": replace(good, lhs=Table(embeddings=np.asfortranarray(lhs.embeddings), sums=lhs.sums)),
        "parameters.lhs": replace(good, parameters=replace(good.parameters, lhs=problem(COMPILED[1]).parameters.lhs)),
    }
    before = lhs.embeddings.copy()
    for what, subject in bad.items():
        with pytest.raises(ValueError, match=what):
            subject.train(kernel)
    with pytest.raises(ValueError, match="seed"):
        good.train(kernel, seed=-1)
    np.testing.assert_array_equal(lhs.embeddings, before)


@slow_to_compile
@pytest.mark.xdist_group("kernels")
def test_no_edges_are_trained_at_once():
    subject = problem(QUICKSTART)
    empty = EdgeSlice(
        lhs_rows=subject.edges.lhs_rows,
        relation_rows=subject.edges.relation_rows,
        rhs_rows=subject.edges.rhs_rows,
        weight=subject.edges.weight,
        chunk_starts=np.zeros(1, np.int64),
    )
    assert replace(subject, edges=empty).train(cpu_kernel(QUICKSTART)).progress[0] == 0
