"""The device kernel in batches: the sum of its chunks, drawn by the device, resident until it is released."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graphbed.config.choices import Comparator, Operator, Optimizer
from graphbed.errors import InputError
from graphbed.model.device.draws import cpu_kernel_draws
from graphbed.model.device.residency import Residency
from graphbed.model.device_kernel import DeviceKernel, chunks_a_batch, open_device
from graphbed.model.kernel import Control, Kernel, KernelSpec
from graphbed.model.reference_kernel import reference_kernel
from tests.unit.model.problems import Problem, all_specs, problem

SIZES = (6, 6, 3, 1, 0, 6)


def level(spec: KernelSpec, **options: object) -> Problem:
    """A problem in which Adagrad steps by the gradient alone, times 1e-4."""
    subject = problem(spec, chunks=SIZES, batch=6, uniform=5, rows=20, lr=100.0, relation_lr=100.0, **options)
    for sums in subject.sums().values():
        sums[:] = 1e12
    return subject


@pytest.mark.parametrize("spec", all_specs(Optimizer.ADAGRAD)[::5], ids=lambda spec: spec.name)
@pytest.mark.parametrize("options", [{}, {"known": True, "one_table": False}, {"shared": True}], ids=str)
def test_a_batch_moves_the_rows_by_the_sum_of_its_chunks(spec: KernelSpec, options: dict[str, object]) -> None:
    def moved(kernel: Kernel, first: int, stop: int) -> tuple[float, dict[str, np.ndarray]]:
        subject, still = (level(spec, regularization=0.1, **options) for _ in range(2))
        control = replace(subject, edges=subject.edges.part(first, stop)).train(kernel)
        assert control.progress[0] == sum(SIZES[first:stop])
        return control.loss[0], {name: array - still.arrays()[name] for name, array in subject.arrays().items()}

    batch = DeviceKernel(spec, Residency(torch.device("cpu")), draws=cpu_kernel_draws, batch_chunks=len(SIZES))
    loss, whole = moved(batch, 0, len(SIZES))
    parts = [moved(reference_kernel(spec), chunk, chunk + 1) for chunk in range(len(SIZES))]
    assert loss == pytest.approx(sum(part for part, _ in parts), rel=1e-5)
    for name, array in whole.items():
        wanted = sum(part[name] for _, part in parts)
        np.testing.assert_allclose(array, wanted, atol=2e-6 + 1e-3 * np.abs(wanted).max(initial=0), err_msg=name)


def test_the_devices_own_draws_depend_on_the_seed_and_the_chunk_alone() -> None:
    spec = all_specs()[0]

    def trained(seed: int, parts: tuple[tuple[int, int], ...]) -> np.ndarray:
        subject = problem(spec, chunks=(6,) * 6, batch=6, uniform=5, rows=20)
        kernel = DeviceKernel(spec, Residency(torch.device("cpu")), batch_chunks=2)
        for first, stop in parts:
            replace(subject, edges=subject.edges.part(first, stop)).train(kernel, seed=seed)
        return subject.lhs.embeddings

    whole = trained(5, ((0, 6),))
    np.testing.assert_array_equal(whole, trained(5, ((0, 2), (2, 6))))
    assert not np.array_equal(whole, trained(6, ((0, 6),)))


def test_training_lowers_the_loss_with_the_devices_own_draws() -> None:
    spec = replace(all_specs()[0], optimizer=Optimizer.ROW_ADAGRAD)
    subject = problem(spec, chunks=(16,) * 20, batch=16, uniform=10, rows=60, dimension=8, lr=0.1)
    kernel = DeviceKernel(spec, Residency(torch.device("cpu")), batch_chunks=5)
    losses = [subject.train(kernel, seed=epoch).loss[0] for epoch in range(10)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_told_at_the_next_look(number: float) -> None:
    subject = problem(all_specs()[0], chunks=(4,) * 50, rows=10)
    subject.lhs.embeddings[3, 1] = number
    kernel = DeviceKernel(all_specs()[0], Residency(torch.device("cpu")), batch_chunks=2, look_batches=3)
    control = subject.train(kernel)
    assert control.failed[0] and 0 < control.progress[0] <= 4 * 2 * 3


def test_a_set_stop_flag_trains_nothing() -> None:
    subject, control = problem(all_specs()[0]), Control.create()
    control.stop[0] = 1
    before = subject.lhs.embeddings.copy()
    DeviceKernel(all_specs()[0], Residency(torch.device("cpu"))).train_slice(
        subject.edges,
        lhs=subject.lhs,
        rhs=subject.rhs,
        parameters=subject.parameters,
        hyper=subject.hyper,
        control=control,
        seed=0,
    )
    np.testing.assert_array_equal(subject.lhs.embeddings, before)


class _Apart(Residency):
    """The CPU as if it were a device with memory of its own."""

    def table(self, table):  # type: ignore[no-untyped-def]
        state = super().table(table)
        if state.values.data_ptr() == table.embeddings.ctypes.data:
            state.values, state.sums = state.values.clone(), state.sums.clone()
        return state


def test_tables_come_back_when_they_are_released_and_parameters_at_once_as_differences() -> None:
    spec = next(spec for spec in all_specs() if spec.operator is Operator.TRANSLATION)
    subject, expected = problem(spec, chunks=(4, 4)), problem(spec, chunks=(4, 4))
    residency = _Apart(torch.device("cpu"))
    kernel = DeviceKernel(spec, residency, draws=cpu_kernel_draws, batch_chunks=1)
    before, values = subject.lhs.embeddings.copy(), subject.parameters.rhs.values.copy()
    subject.train(kernel)
    np.testing.assert_array_equal(subject.lhs.embeddings, before)
    assert not np.array_equal(subject.parameters.rhs.values, values)
    residency.release()
    expected.train(reference_kernel(spec))
    np.testing.assert_allclose(subject.lhs.embeddings, expected.lhs.embeddings, rtol=1e-6)
    np.testing.assert_allclose(subject.parameters.rhs.values, expected.parameters.rhs.values, rtol=1e-5)


def test_a_batch_fits_its_memory_and_holds_one_chunk_at_least() -> None:
    spec = all_specs()[0]
    small, wide = problem(spec, batch=50, uniform=50), problem(spec, dimension=4096, batch=4096, uniform=65536)
    assert chunks_a_batch(spec, small.hyper, small.lhs, small.rhs) == (1 << 15) // 50
    assert chunks_a_batch(spec, wide.hyper, wide.lhs, wide.rhs) == 1
    far = replace(spec, comparator=Comparator.L1)
    middle = problem(spec, dimension=400, batch=100, uniform=100)
    sizes = [chunks_a_batch(kind, middle.hyper, middle.lhs, middle.rhs) for kind in (spec, far)]
    assert 1 <= sizes[1] < sizes[0]


@pytest.mark.parametrize("name", ["cuda:99", "warp-drive"])
def test_a_device_that_is_not_there_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match=f"the device {name} cannot be used on this machine: [^\n]+$"):
        open_device(name)
