"""The gradients of both kernels, recovered from one update, against the judge."""

import numpy as np
import pytest

from graphbed.config.job import Comparator, Loss, Operator, Optimizer
from graphbed.model.kernel import KernelSpec
from graphbed.model.reference.draws import draw_rows
from graphbed.model.reference_kernel import reference_kernel
from tests.unit.model.judge import judged
from tests.unit.model.problems import SEED, Problem, all_specs, problem, uncompiled

KERNELS = {"reference": reference_kernel, "uncompiled": uncompiled}
NEGATIVES = {"both": (4, 3), "batch": (4, 0), "uniform": (0, 4)}


def draws_of(subject: Problem) -> dict[str, np.ndarray]:
    hyper = subject.hyper
    lhs = hyper.uniform_negatives if hyper.lhs_negatives else 0
    rhs = hyper.uniform_negatives if hyper.rhs_negatives else 0
    return {
        "lhs": draw_rows(SEED, 0, 0, lhs, len(subject.lhs.embeddings)),
        "rhs": draw_rows(SEED, 0, lhs, rhs, len(subject.rhs.embeddings)),
    }


def agree(kernel: str, spec: KernelSpec, subject: Problem) -> None:
    """Train the single chunk and compare loss, gradients and sums with the judge's."""
    loss, gradients = judged(spec, subject, draws_of(subject))
    before = {name: array.copy() for name, array in subject.arrays().items()}
    control = subject.train(KERNELS[kernel](spec))
    assert control.loss[0] == pytest.approx(loss, rel=1e-4, abs=1e-5)
    assert not control.failed[0]
    for name, array in subject.arrays().items():
        lr = subject.hyper.relation_lr if name.endswith("theta") else subject.hyper.lr
        sums = subject.sums()[name]
        recovered = (before[name] - array) / lr * np.sqrt(sums)
        scale = np.abs(gradients[name]).max(initial=1)
        np.testing.assert_allclose(recovered, gradients[name], rtol=2e-3, atol=2e-5 * scale, err_msg=name)
        squares = gradients[name] ** 2
        if sums.shape[1:] == (1,):
            squares = squares.mean(1, keepdims=True)
        np.testing.assert_allclose(sums, 1 + squares, rtol=2e-3, err_msg=name)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_are_the_judges(kernel: str, spec: KernelSpec, negatives: str):
    batch, uniform = NEGATIVES[negatives]
    agree(kernel, spec, problem(spec, batch=batch, uniform=uniform, regularization=0.1))


@pytest.mark.parametrize("spec", all_specs(Optimizer.ADAGRAD)[::5], ids=lambda spec: spec.name)
@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_are_the_judges_with_sums_by_element_and_two_tables(kernel: str, spec: KernelSpec):
    agree(kernel, spec, problem(spec, one_table=False, regularization=0.05, seed=3))


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("reciprocal", [False, True])
@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("side", ["lhs_negatives", "rhs_negatives"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_side_can_be_left_alone(kernel: str, side: str, negatives: str, reciprocal: bool, loss: Loss):
    spec = KernelSpec(
        operator=Operator.COMPLEX_DIAGONAL,
        comparator=Comparator.COS,
        loss=loss,
        reciprocal=reciprocal,
        optimizer=Optimizer.ROW_ADAGRAD,
    )
    batch, uniform = NEGATIVES[negatives]
    agree(kernel, spec, problem(spec, batch=batch, uniform=uniform, regularization=0.1, **{side: False}))


@pytest.mark.parametrize("spec", all_specs()[::7], ids=lambda spec: spec.name)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_short_chunk_uses_its_own_size(kernel: str, spec: KernelSpec):
    agree(kernel, spec, problem(spec, chunks=(3,), batch=8, uniform=2, regularization=0.1))


@pytest.mark.parametrize("spec", all_specs()[:6] + all_specs()[-6:], ids=lambda spec: spec.name)
@pytest.mark.parametrize("kernel", KERNELS)
def test_an_edge_whose_candidates_are_all_its_own_entity_costs_nothing(kernel: str, spec: KernelSpec):
    subject = problem(spec, rows=1, regularization=0.1)
    before = {name: array.copy() for name, array in subject.arrays().items()}
    control = subject.train(KERNELS[kernel](spec))
    assert control.loss[0] == 0
    assert control.progress[0] == 4
    for name, array in subject.arrays().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("reciprocal", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_zero_vector_scores_zero_under_cos(kernel: str, reciprocal: bool):
    spec = KernelSpec(
        operator=Operator.NONE,
        comparator=Comparator.COS,
        loss=Loss.RANKING,
        reciprocal=reciprocal,
        optimizer=Optimizer.ROW_ADAGRAD,
    )
    subject = problem(spec)
    subject.lhs.embeddings[:] = 0
    control = subject.train(KERNELS[kernel](spec))
    candidates = {side: [*getattr(subject.edges, f"{side}_rows"), *rows] for side, rows in draws_of(subject).items()}
    negatives = sum(
        float(weight) * sum(row != own for row in candidates[side])
        for side in ("lhs", "rhs")
        for own, weight in zip(getattr(subject.edges, f"{side}_rows"), subject.edges.weight, strict=True)
    )
    assert control.loss[0] == pytest.approx(subject.hyper.margin * negatives, rel=1e-5)
    assert not control.failed[0]
    assert np.isfinite(subject.lhs.embeddings).all()
