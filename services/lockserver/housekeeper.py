"""Housekeeping: what the lock server does without being asked, as ticks that a thread repeats."""

import threading
from collections.abc import Callable

from graphbed import logs
from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.records import Beat, Progress
from services.lockserver.transitions import expire, stall, standing
from services.lockserver.watch import LeaseWatch, Watched

log = logs.get_logger("graphbed.lockserver")


class Expiry:
    """Ends the leases of trainers that fell silent or get nowhere."""

    def __init__(self, *, jobs: JobTable, clock: Clock, metrics: LockServerMetrics) -> None:
        self._jobs = jobs
        self._clock = clock
        self._metrics = metrics
        self._silence: LeaseWatch[int] = LeaseWatch()
        self._standstill: LeaseWatch[Progress | Beat] = LeaseWatch()

    def tick(self) -> None:
        """Look at all live leases once."""
        renewed, moved = [], []
        holders = {}
        for context, state in self._jobs.usable():
            job = context.config.job
            lease_config = context.config.lease
            for lease_id, beat in state.beats.items():
                holders[lease_id] = job, state.leases[lease_id].trainer
                renewed.append(
                    Watched(lease_id=lease_id, mark=beat.renewals, patience_seconds=lease_config.ttl_seconds)
                )
                moved.append(
                    Watched(lease_id=lease_id, mark=standing(beat), patience_seconds=lease_config.stall_seconds)
                )
        now = self._clock.monotonic()
        for silent in self._silence.look(renewed, now):
            self._end_silent(*holders[silent.lease_id], silent)
        for stalled in self._standstill.look(moved, now):
            self._end_stalled(*holders[stalled.lease_id], stalled)

    def _end_silent(self, job: str, trainer: str, lease: Watched[int]) -> None:
        plan = self._jobs.context(job).plan
        if self._jobs.update(job, lambda state: expire(state, plan, lease.lease_id, lease.mark)):
            self._metrics.expirations.inc()
            log.warning(
                "lease expired", job=job, lease=lease.lease_id, trainer=trainer, ttl_seconds=lease.patience_seconds
            )

    def _end_stalled(self, job: str, trainer: str, lease: Watched[Progress | Beat]) -> None:
        plan = self._jobs.context(job).plan
        if self._jobs.update(job, lambda state: stall(state, plan, lease.lease_id, lease.mark)):
            self._metrics.stalls.inc()
            log.warning(
                "lease stalled", job=job, lease=lease.lease_id, trainer=trainer, stall_seconds=lease.patience_seconds
            )


class Repeater:
    """Calls `tick` again and again on a thread of its own until it is stopped."""

    def __init__(self, name: str, tick: Callable[[], None], *, period_seconds: float, clock: Clock) -> None:
        self._name = name
        self._tick = tick
        self._period_seconds = period_seconds
        self._clock = clock
        self._stopping = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Begin no further tick, and wait at most `seconds` for the running one."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._clock.wait(self._stopping, self._period_seconds):
            try:
                self._tick()
                self._failing = False
            except GraphbedError as error:
                # A store that is down is down at every tick: said once, until a tick succeeds.
                if not self._failing:
                    log.warning("housekeeping failed", what=self._name, error=str(error))
                self._failing = True
            except Exception:
                # Whatever it was, leases must go on expiring and manifests being written.
                log.exception("housekeeping failed", what=self._name)
