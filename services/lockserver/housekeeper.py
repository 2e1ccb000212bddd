"""Housekeeping: what the lock server does without being asked, as ticks that a thread repeats."""

import threading
from collections.abc import Callable

from graphbed import logs
from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.transitions import expire
from services.lockserver.watch import LeaseWatch, Watched

log = logs.get_logger("graphbed.lockserver")


class Expiry:
    """Ends the leases of trainers that fell silent."""

    def __init__(self, *, jobs: JobTable, clock: Clock, metrics: LockServerMetrics) -> None:
        self._jobs = jobs
        self._clock = clock
        self._metrics = metrics
        self._watch = LeaseWatch()

    def tick(self) -> None:
        """Look at all live leases once."""
        watched = []
        job_of = {}
        for context, state in self._jobs.usable():
            job = context.config.job
            ttl = context.config.lease.ttl_seconds
            for lease_id, beat in state.beats.items():
                job_of[lease_id] = job
                watched.append(Watched(lease_id=lease_id, renewals=beat.renewals, ttl_seconds=ttl))
        for lease in self._watch.look(watched, self._clock.monotonic()):
            self._end(job_of[lease.lease_id], lease)

    def _end(self, job: str, lease: Watched) -> None:
        if self._jobs.update(job, lambda state: expire(state, lease.lease_id, lease.renewals)):
            self._metrics.expirations.inc()
            log.warning("lease expired", job=job, lease=lease.lease_id, ttl_seconds=lease.ttl_seconds)


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
