"""`python -m services.trainer`: a trainer configured by GRAPHBED_*."""

import os
import sys

# Before NumPy or SciPy load their BLAS: the Hogwild threads are the parallelism, BLAS must not add its own.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"


def main() -> int:
    """Run until SIGTERM; return the exit code: 0, 1 if the trainer gave up, 2 if it could not start."""
    from graphbed.storage.address import open_store
    from prometheus_client import REGISTRY

    from graphbed.clock import SystemClock
    from graphbed.rpc import environment
    from graphbed.rpc.process import run_process
    from services.trainer.server import RunningTrainer, start_trainer
    from services.trainer.settings import TrainerSettings

    started: list[RunningTrainer] = []

    def start() -> RunningTrainer:
        started.append(
            start_trainer(
                TrainerSettings.from_environment(os.environ),
                store=open_store(environment.read(os.environ, "GRAPHBED_STORE", ""), os.environ),
                clock=SystemClock(),
                registry=REGISTRY,
            )
        )
        return started[0]

    code = run_process(start, environ=os.environ, service="graphbed-trainer")
    if started and started[0].failure is not None:
        sys.stderr.write(f"graphbed-trainer: {started[0].failure}\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
