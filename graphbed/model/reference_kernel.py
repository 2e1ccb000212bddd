"""The reference kernel: what the CPU kernel must agree with, one obvious torch step a chunk."""

import torch

from graphbed.model.device.draws import cpu_kernel_draws
from graphbed.model.device.residency import Residency
from graphbed.model.device_kernel import DeviceKernel
from graphbed.model.kernel import Kernel, KernelSpec


def reference_kernel(spec: KernelSpec) -> Kernel:
    """The device kernel on the CPU, chunk by chunk with the CPU kernel's negatives; tables change in place."""
    residency = Residency(torch.device("cpu"))
    return DeviceKernel(spec, residency, draws=cpu_kernel_draws, batch_chunks=1, look_batches=1)
