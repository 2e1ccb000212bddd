"""The engine of an accelerator: torch on one device."""

from typing import Self

from graphbed.config.choices import Device
from graphbed.model.device.residency import Residency
from graphbed.model.device_kernel import BATCH_EDGES, LOOK_BATCHES, DeviceKernel, open_device
from graphbed.model.kernel import Kernel, KernelSpec


class DeviceEngine:
    """An `Engine` on one device, where the tables of a lease stay until it is trained."""

    most_threads: int | None = 1
    portion_edges = BATCH_EDGES * LOOK_BATCHES

    def __init__(self, residency: Residency) -> None:
        self._residency = residency

    @classmethod
    def open(cls, device: Device) -> Self:
        """Raises InputError if this machine has no such device."""
        return cls(Residency(open_device(device)))

    def kernel(self, spec: KernelSpec) -> Kernel:
        return DeviceKernel(spec, self._residency)

    def release(self) -> None:
        self._residency.release()
