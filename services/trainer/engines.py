"""Engines: what a trainer trains with, the cores or one accelerator."""

from typing import Protocol

from graphbed.config.choices import Device
from graphbed.model.cpu_kernel import cpu_kernel
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


def open_engine(device: Device) -> Engine:
    """The engine of a device. Raises InputError if this machine has no such device."""
    if device is Device.CPU:
        return CpuEngine()
    # Only who needs torch waits for it: importing it costs several times what a trainer's start costs otherwise.
    from services.trainer.device_engine import DeviceEngine

    return DeviceEngine.open(device)
