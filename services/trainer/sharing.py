"""Sharing: exchanging a lease's parameter deltas with the parameter server while it trains."""

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from graphbed.clients.parameters import ParameterClient

from graphbed.clock import Clock
from graphbed.errors import GraphbedError, JobUnsettled, PushMissing, TensorUnknown
from graphbed.logs import get_logger
from graphbed.storage.receipt import Receipt
from services.trainer.jobs import Job, Jobs
from services.trainer.metrics import TrainerMetrics

log = get_logger()

Result = TypeVar("Result")

_PATIENCE_SECONDS = 60.0
"""How long a restarted parameter server may take until the lock server has settled it."""


class SharedParameters:
    """Local copies of a job's parameter tensors that follow the sums of all trainers.

    `values` is what the kernels read and write without locks. A sync pushes the lease's whole delta so far and adds
    what others did meanwhile to `values`, instead of overwriting them: updates made during the round trip are kept.
    """

    def __init__(
        self,
        client: ParameterClient,
        jobs: Jobs,
        job: Job,
        *,
        lease_id: str,
        clock: Clock,
        stopping: threading.Event,
        metrics: TrainerMetrics,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._job = job
        self._lease_id = lease_id
        self._clock = clock
        self._stopping = stopping
        self._metrics = metrics
        self._sequence = 0
        self._reference: dict[str, np.ndarray] = {}
        """The start plus all foreign changes: what `values` would be without this lease's own updates."""
        self.values: dict[str, np.ndarray] = {}

    def pull(self) -> None:
        """Start from the current sums. Raises GraphbedError if the parameter server stays away."""
        if self._job.tensors:
            self._reference = self._patiently(lambda: self._client.pull(self._job.config.job))
            self.values = {name: np.array(tensor) for name, tensor in self._reference.items()}

    def sync(self) -> None:
        """Push this lease's delta, then take in what others did since the last sync."""
        if not self._job.tensors:
            return
        delta = self._push()
        sums = self._client.pull(self._job.config.job)
        for name, tensor in self.values.items():
            foreign = sums[name] - (self._reference[name] + delta[name])
            tensor += foreign
            self._reference[name] = self._reference[name] + foreign
        self._metrics.parameter_syncs.inc()

    def seal(self) -> Receipt | None:
        """Push the final delta and have it made durable; None if the job has no parameters."""
        if not self._job.tensors:
            return None

        def push_and_seal() -> Receipt:
            self._push()
            return self._client.seal(self._job.config.job, self._lease_id, self._sequence)

        return self._patiently(push_and_seal)

    def _push(self) -> dict[str, np.ndarray]:
        delta = {name: tensor - self._reference[name] for name, tensor in self.values.items()}
        self._sequence += 1
        self._client.push(self._job.config.job, self._lease_id, self._sequence, delta)
        return delta

    def _patiently(self, action: Callable[[], Result]) -> Result:
        deadline = self._clock.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return action()
            except TensorUnknown:
                # The server was restarted and no trainer has come by since.
                self._jobs.declare(self._job)
            except (JobUnsettled, PushMissing) as error:
                if self._clock.monotonic() >= deadline:
                    raise
                log.info("waiting for the parameter server", why=error.reason)
            if self._clock.wait(self._stopping, 0.2):
                raise GraphbedError(what="the trainer is stopping")


class SyncThread(threading.Thread):
    """Calls `sync` every few tenths of a second while the kernels run; a failed sync is logged and tried again."""

    def __init__(self, shared: SharedParameters, *, seconds: float, clock: Clock) -> None:
        super().__init__(name="parameter-sync", daemon=True)
        self._shared = shared
        self._seconds = seconds
        self._clock = clock
        self._done = threading.Event()

    def run(self) -> None:
        while not self._clock.wait(self._done, self._seconds):
            try:
                self._shared.sync()
            except GraphbedError as error:
                log.warning("parameter sync failed", error=str(error))

    def finish(self) -> None:
        """End after the sync that is under way, if any."""
        self._done.set()
        self.join()
