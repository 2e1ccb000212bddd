"""The gradients of both kernels, recovered from one update, against the judge."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphbed.config.choices import Comparator, Loss, Operator, Optimizer, Regularizer
from graphbed.model.device.draws import cpu_kernel_draws, drawn_rows
from graphbed.model.kernel import KernelSpec
from graphbed.model.reference_kernel import reference_kernel
from tests.unit.model.judge import judged
from tests.unit.model.problems import SEED, Problem, all_specs, problem, uncompiled

KERNELS = {"reference": reference_kernel, "uncompiled": uncompiled}
NEGATIVES = {"both": (4, 3), "batch": (4, 0), "uniform": (0, 4)}


def draws_of(subject: Problem) -> dict[str, np.ndarray]:
    ends = torch.from_numpy(subject.edges.lhs_rows), torch.from_numpy(subject.edges.rhs_rows)
    draw = cpu_kernel_draws(SEED, [0], torch.device("cpu"))
    lhs, rhs = drawn_rows(draw, (ends[0][None], ends[1][None]), ends, (subject.lhs, subject.rhs), subject.hyper)
    return {"lhs": lhs[0].numpy(), "rhs": rhs[0].numpy()}


def agree(kernel: str, spec: KernelSpec, subject: Problem) -> None:
    """Train the single chunk and compare loss, gradients and sums with the judge's."""
    loss, gradients = judged(spec, subject, draws_of(subject))
    before = {name: array.copy() for name, array in subject.arrays().items()}
    control = subject.train(KERNELS[kernel](spec))
    assert control.loss[0] == pytest.approx(loss, rel=1e-4, abs=1e-5)
    assert not control.failed[0]
    for name, array in subject.arrays().items():
        lr = subject.hyper.lr if name in ("lhs", "rhs") else subject.hyper.relation_lr
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


SOME = [spec for spec in all_specs() if spec.operator in (Operator.NONE, Operator.COMPLEX_DIAGONAL, Operator.AFFINE)]


@pytest.mark.parametrize("spec", SOME[::7], ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    "options",
    [
        {"all_negatives": True},
        {"known": True},
        {"known": True, "all_negatives": True, "one_table": False},
        {"shared": True},
        {"shared": True, "one_table": False},
        {"degree_negatives": 2},
        {"other_side_negatives": True, "uniform": 7, "degree_negatives": 2},
        {"other_side_negatives": True, "uniform": 7, "one_table": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_are_the_judges_with_every_option(kernel: str, spec: KernelSpec, options: dict[str, object]):
    agree(kernel, spec, problem(spec, regularization=0.1, rows=9, **options))


@pytest.mark.parametrize("spec", [*SOME[1::9], *all_specs()[-4:]], ids=lambda spec: spec.name)
@pytest.mark.parametrize("changes", [{"bias": True}, {"regularizer": Regularizer.L2}], ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_gradients_are_the_judges_with_a_bias_and_with_l2(
    kernel: str, spec: KernelSpec, changes: dict[str, object], negatives: str
):
    changed = replace(spec, **changes)
    if changed.bias and spec.comparator is Comparator.COMPLEX_L1:
        changed = replace(changed, comparator=Comparator.L2)
    batch, uniform = NEGATIVES[negatives]
    agree(kernel, changed, problem(changed, batch=batch, uniform=uniform, regularization=0.1))


def test_the_other_sides_entities_take_the_place_of_the_first_uniform_negatives():
    subject = problem(SOME[0], uniform=7, degree_negatives=2)
    crossed = replace(subject, hyper=replace(subject.hyper, other_side_negatives=True))
    plain, drawn = draws_of(subject), draws_of(crossed)
    for side, other in (("lhs", subject.edges.rhs_rows), ("rhs", subject.edges.lhs_rows)):
        expected = np.concatenate([plain[side][:2], other, plain[side][6:]])
        np.testing.assert_array_equal(drawn[side], expected)


def test_padding_puts_no_entity_in_the_place_of_a_negative():
    subject = problem(SOME[0], uniform=7, other_side_negatives=True)
    ends = torch.from_numpy(subject.edges.lhs_rows), torch.from_numpy(subject.edges.rhs_rows)
    padded = torch.tensor([[5, -1, -1, -1]])
    draw = cpu_kernel_draws(SEED, [0], torch.device("cpu"))
    tables = (subject.lhs, subject.rhs)
    crossed, _ = drawn_rows(draw, (padded, padded), ends, tables, subject.hyper)
    plain, _ = drawn_rows(draw, (padded, padded), ends, tables, replace(subject.hyper, other_side_negatives=False))
    assert crossed[0, 0] == 5
    np.testing.assert_array_equal(crossed[0, 1:], plain[0, 1:])


@pytest.mark.parametrize("kernel", KERNELS)
def test_read_only_rows_are_drawn_and_never_updated(kernel: str):
    spec = all_specs()[0]
    subject = problem(spec, rows=6, read_only=5, uniform=6, remote_negatives=4)
    drawn = draws_of(subject)
    assert all((rows[:4] >= 6).all() and (rows[4:] < 6).all() for rows in drawn.values())
    loss, gradients = judged(spec, subject, drawn)
    before = subject.lhs.embeddings.copy()
    control = subject.train(KERNELS[kernel](spec))
    assert control.loss[0] == pytest.approx(loss, rel=1e-4)
    np.testing.assert_array_equal(subject.lhs.embeddings[6:], before[6:])
    recovered = (before - subject.lhs.embeddings)[:6] / subject.hyper.lr * np.sqrt(subject.lhs.sums[:6])
    np.testing.assert_allclose(recovered, gradients["lhs"][:6], rtol=2e-3, atol=2e-5 * np.abs(recovered).max())


@pytest.mark.parametrize("kernel", KERNELS)
def test_adam_takes_its_first_step_by_the_sign_of_the_gradient(kernel: str):
    """With m = u = 0 and n = 0 the first step is η·g/(|g| + ε√(1 − 0.999)), so nearly η by the sign."""
    spec = replace(all_specs()[0], optimizer=Optimizer.ADAM)
    subject = problem(spec)
    subject.lhs.sums[:] = 0
    _, gradients = judged(spec, subject, draws_of(subject))
    before = subject.lhs.embeddings.copy()
    subject.train(KERNELS[kernel](spec))
    clear = np.abs(gradients["lhs"]) > 1e-3
    assert clear.any()
    np.testing.assert_allclose(
        (before - subject.lhs.embeddings)[clear], subject.hyper.lr * np.sign(gradients["lhs"])[clear], rtol=1e-3
    )
    np.testing.assert_allclose(subject.lhs.sums[:, :4], 0.1 * gradients["lhs"], rtol=1e-3, atol=1e-5)
    touched = np.abs(gradients["lhs"]).max(axis=1) > 0
    np.testing.assert_array_equal(subject.lhs.sums[:, -1], touched)


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_trained_row_is_longer_than_max_norm(kernel: str):
    spec = all_specs()[0]
    subject, free = problem(spec, max_norm=0.7), problem(spec)
    before = subject.lhs.embeddings.copy()
    subject.train(KERNELS[kernel](spec))
    free.train(KERNELS[kernel](spec))
    moved = (before != subject.lhs.embeddings).any(axis=1)
    lengths = np.linalg.norm(subject.lhs.embeddings, axis=1)
    assert moved.any()
    assert (lengths[moved] <= 0.7001).all()
    longer = np.linalg.norm(free.lhs.embeddings, axis=1)[:, None]
    expected = free.lhs.embeddings * np.minimum(1, 0.7 / longer)
    np.testing.assert_allclose(subject.lhs.embeddings[moved], expected[moved], rtol=1e-4, atol=1e-6)
