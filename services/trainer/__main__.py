"""`python -m services.trainer`: a trainer configured by GRAPHBED_*."""

import os
import sys
from collections.abc import Callable

from graphbed.model.threads import BLAS_ENVIRONMENT

# Before NumPy or SciPy load their BLAS: the Hogwild threads are the parallelism, BLAS must not add its own.
os.environ.update(BLAS_ENVIRONMENT)


def main() -> int:
    """Run until SIGTERM; return the exit code: 0, or what its failure says."""
    from prometheus_client import REGISTRY

    from graphbed.clock import SystemClock
    from graphbed.errors import exit_code
    from graphbed.rpc import environment
    from graphbed.rpc.process import run_process
    from graphbed.storage.address import open_store
    from graphbed.tracing import open_tracing
    from services.trainer.server import RunningTrainer, start_trainer
    from services.trainer.settings import TrainerSettings

    started: list[RunningTrainer] = []
    send_traces: list[Callable[[], None]] = []

    def start() -> RunningTrainer:
        span, finish = open_tracing(os.environ, service="graphbed-trainer")
        send_traces.append(finish)
        started.append(
            start_trainer(
                TrainerSettings.from_environment(os.environ),
                store=open_store(environment.required(os.environ, "GRAPHBED_STORE"), os.environ),
                clock=SystemClock(),
                registry=REGISTRY,
                span=span,
            )
        )
        return started[0]

    code = run_process(start, environ=os.environ, service="graphbed-trainer")
    for finish in send_traces:
        finish()
    if started and started[0].failure is not None:
        sys.stderr.write(f"graphbed-trainer: {started[0].failure}\n")
        return exit_code(started[0].failure)
    return code


if __name__ == "__main__":
    sys.exit(main())
