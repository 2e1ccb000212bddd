"""Sharing: exchanging a lease's parameter deltas with the parameter server while it trains."""

import threading

import numpy as np

from graphbed.clients.parameters import ParameterClient
from graphbed.clock import Clock
from graphbed.errors import PushMissing, TensorUnknown
from graphbed.logs import carrying, get_logger
from graphbed.storage.receipt import Receipt
from services.trainer.guard import LeaseGuard
from services.trainer.jobs import Job, Jobs
from services.trainer.metrics import TrainerMetrics

log = get_logger()


class SharedParameters:
    """Local copies of a job's parameter tensors that follow the sums of all trainers.

    `values` is what the kernels read and write without locks. A sync pushes the lease's whole delta so far and adds
    what others did meanwhile to `values`, instead of overwriting them: updates made during the round trip are kept.
    """

    def __init__(
        self, client: ParameterClient, jobs: Jobs, job: Job, *, lease_id: str, metrics: TrainerMetrics
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._job = job
        self._lease_id = lease_id
        self._metrics = metrics
        self._sequence = 0
        self._reference: dict[str, np.ndarray] = {}
        """The start plus all foreign changes: what `values` would be without this lease's own updates."""
        self.values: dict[str, np.ndarray] = {}

    def pull(self, guard: LeaseGuard) -> None:
        """Start from the current sums, waiting for the parameter server if it is away."""
        if self._job.tensors:
            self._reference = guard.ask(self._pull)
            self.values = {name: np.array(tensor) for name, tensor in self._reference.items()}

    def sync(self) -> None:
        """Push this lease's delta, then take in what others did since the last sync."""
        if not self._job.tensors:
            return
        delta = self._delta()
        self._sequence += 1
        self._push(delta)
        sums = self._pull()
        for name, tensor in self.values.items():
            foreign = sums[name] - (self._reference[name] + delta[name])
            tensor += foreign
            self._reference[name] = self._reference[name] + foreign
        self._metrics.parameter_syncs.inc()

    def publish(self, guard: LeaseGuard) -> None:
        """Push the final delta, waiting for the parameter server if it is away: who pulls next starts from it."""
        if self._job.tensors:
            self._sequence += 1
            guard.ask(lambda: self._push(self._delta()))

    def seal(self, guard: LeaseGuard) -> Receipt | None:
        """Push the final delta and have it made durable; None if the job has no parameters."""
        if not self._job.tensors:
            return None
        delta = self._delta()
        guard.check_lease()  # who slept through the lease must not disturb those who go on
        while True:
            self._sequence += 1
            guard.ask(lambda: self._push(delta))
            try:
                # The same sequence each time: if only the answer was lost, the lease is sealed already.
                return guard.ask(lambda: self._client.seal(self._job.config.job, self._lease_id, self._sequence))
            except (PushMissing, TensorUnknown) as error:
                log.info("the parameter server was restarted", lease=self._lease_id, why=error.reason)

    def _delta(self) -> dict[str, np.ndarray]:
        return {name: tensor - self._reference[name] for name, tensor in self.values.items()}

    def _push(self, delta: dict[str, np.ndarray]) -> None:
        try:
            self._client.push(self._job.config.job, self._lease_id, self._sequence, delta)
        except TensorUnknown:
            # It was restarted and no trainer has come by since.
            self._jobs.declare(self._job)
            self._client.push(self._job.config.job, self._lease_id, self._sequence, delta)

    def _pull(self) -> dict[str, np.ndarray]:
        try:
            return self._client.pull(self._job.config.job)
        except TensorUnknown:
            self._jobs.declare(self._job)
            return self._client.pull(self._job.config.job)


class SyncThread(threading.Thread):
    """Calls `sync` every few tenths of a second while the kernels run; a failed sync is logged and tried again."""

    def __init__(self, shared: SharedParameters, *, seconds: float, clock: Clock, metrics: TrainerMetrics) -> None:
        super().__init__(name="parameter-sync", daemon=True, target=carrying(self._repeat))
        self._shared = shared
        self._seconds = seconds
        self._clock = clock
        self._metrics = metrics
        self._done = threading.Event()

    def _repeat(self) -> None:
        synced_at = self._clock.monotonic()
        while not self._clock.wait(self._done, self._seconds):
            try:
                self._shared.sync()
            except Exception as error:
                # Whatever it was, the delta is cumulative: the next sync, or the seal, carries it.
                self._metrics.parameter_sync_failures.inc()
                log.warning("parameter sync failed", error=str(error))
            else:
                now = self._clock.monotonic()
                self._metrics.parameter_staleness.observe(now - synced_at)
                synced_at = now

    def finish(self) -> None:
        """End after the sync that is under way, if it was started."""
        self._done.set()
        if self.ident is not None:
            self.join()
