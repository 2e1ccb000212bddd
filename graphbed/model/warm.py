"""Warming up: compiling a job's kernels once, before several processes need them."""

import sys
import time
from pathlib import Path

from graphbed.config.job import JobConfig
from graphbed.config.load import load_job
from graphbed.model.cpu.source import cache_directory, module_name
from graphbed.model.cpu_kernel import cpu_kernel
from graphbed.model.kernel import KernelSpec


def warm_up(config: JobConfig) -> float:
    """Make the machine code of every kernel of the job; return the seconds that this took, now or when it was made.

    Raises InputError if the cache directory cannot be written.
    """
    specs = {KernelSpec.from_config(config, group) for group in range(len(config.relations))}
    return sum(_compile(spec) for spec in specs)


def _compile(spec: KernelSpec) -> float:
    record = cache_directory() / f"{module_name(spec)}.seconds"
    if record.exists():
        cpu_kernel(spec)
        return float(record.read_text())
    started = time.monotonic()
    cpu_kernel(spec)
    seconds = time.monotonic() - started
    record.write_text(f"{seconds:.3f}")
    return seconds


if __name__ == "__main__":
    for path in sys.argv[1:]:
        sys.stdout.write(f"kernels of {path}: {warm_up(load_job(Path(path))):.1f} s\n")
