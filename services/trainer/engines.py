"""Engines: what a trainer trains with, the cores or one accelerator."""

from typing import Protocol

from graphbed.config.choices import Device
from graphbed.model.cpu_kernel import cpu_kernel
from graphbed.model.device.residency import Residency
from graphbed.model.device_kernel import BATCH_EDGES, LOOK_BATCHES, DeviceKernel, open_device
from graphbed.model.kernel import Kernel, KernelSpec


class Engine(Protocol):
    """Kernels for the leases of a trainer, one lease at a time."""

    most_threads: int | None
    """How many threads may train at once; None = any number."""
    portion_edges: int
    """The most edges of one kernel call if the job does not say: threads take turns, and so do groups."""

    def kernel(self, spec: KernelSpec) -> Kernel:
        """The kernel of a combination, made once and kept."""
        ...

    def release(self) -> None:
        """Bring the tables of a lease back into their arrays, after its last call."""
        ...


class CpuEngine:
    """Compiled kernels, which write to the arrays themselves."""

    most_threads: int | None = None
    portion_edges = 1 << 16

    def __init__(self) -> None:
        self._kernels: dict[KernelSpec, Kernel] = {}

    def kernel(self, spec: KernelSpec) -> Kernel:
        if spec not in self._kernels:
            self._kernels[spec] = cpu_kernel(spec)
        return self._kernels[spec]

    def release(self) -> None:
        """Nothing is elsewhere."""


class DeviceEngine:
    """Torch on one device, where the tables of a lease stay until it is trained."""

    most_threads: int | None = 1
    portion_edges = BATCH_EDGES * LOOK_BATCHES

    def __init__(self, residency: Residency) -> None:
        self._residency = residency

    def kernel(self, spec: KernelSpec) -> Kernel:
        return DeviceKernel(spec, self._residency)

    def release(self) -> None:
        self._residency.release()


def open_engine(device: Device) -> Engine:
    """The engine of a device. Raises InputError if this machine has no such device."""
    return CpuEngine() if device is Device.CPU else DeviceEngine(Residency(open_device(device)))
