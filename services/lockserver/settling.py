"""Settling: telling the parameter server which leases count for ever and which may still push."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graphbed import logs
from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from graphbed.storage.receipt import Receipt
from graphbed.v1 import paramserver_pb2
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.state import JobState

PERIOD_SECONDS = 1.0
"""How often a running job is settled when nothing changes: a parameter server that was restarted waits for this."""

EXACT_TIMES = 2

log = logs.get_logger("graphbed.lockserver")


class Parameters(Protocol):
    """What the lock server asks of the parameter server."""

    def settle(
        self,
        job: str,
        seen: paramserver_pb2.SettleRound | None,
        base: Receipt | None,
        committed: Sequence[tuple[str, Receipt]],
        live: Sequence[str],
        *,
        generation: int,
    ) -> paramserver_pb2.SettleRound:
        """Tell what is committed and what is live; `seen` is the round known before that was read."""
        ...

    def compact(
        self, job: str, manifest_sequence: int, base: Receipt | None, deltas: Sequence[tuple[str, Receipt]]
    ) -> Receipt:
        """Write one object that holds `base` plus `deltas`."""
        ...

    def forget(self, job: str) -> None:
        """Hold nothing more of a job that was deleted."""
        ...


@dataclass(slots=True)
class _Told:
    """What the parameter server was told last, when, and the round it answered."""

    facts: object
    at: float
    round: paramserver_pb2.SettleRound | None
    failed: bool = False
    times: int = 1
    """How often these facts were told in a row."""


class Settler:
    """Settles each running job about once a second, and soon after a lease began or ended."""

    def __init__(self, *, jobs: JobTable, parameters: Parameters, clock: Clock, metrics: LockServerMetrics) -> None:
        self._jobs = jobs
        self._parameters = parameters
        self._clock = clock
        self._metrics = metrics
        self._told: dict[str, _Told] = {}

    def tick(self) -> None:
        """Settle the jobs that are due; a failure is logged once and tried again a period later."""
        # The rounds must be known before the states are read: a lease granted in between is not yet in `live`.
        rounds = {job: told.round for job, told in self._told.items()}
        for context, state in self._jobs.usable():
            job = context.config.job
            hurried = context.plan.rules.deterministic and not state.leases and not self.is_exact(job, state)
            if context.plan.has_parameters and (hurried or self._is_due(job, state)):
                self._settle(job, state, rounds.get(job))

    def is_exact(self, job: str, state: JobState) -> bool:
        """Whether the job's sums hold its commits and nothing else, and will until a lease is granted.

        Told once that no lease lives, the parameter server may still serve a delta that a dead one pushed a moment
        before; told twice, it does not.
        """
        told = self._told.get(job)
        return not state.leases and told is not None and told.facts == _facts(state) and told.times >= EXACT_TIMES

    def _is_due(self, job: str, state: JobState) -> bool:
        told = self._told.get(job)
        running = not state.header.status.has_ended
        if told is None:
            return running
        waited = self._clock.monotonic() - told.at
        if running or told.failed:
            return waited >= PERIOD_SECONDS or (told.facts != _facts(state) and not told.failed)
        return told.facts != _facts(state)

    def _settle(self, job: str, state: JobState, seen: paramserver_pb2.SettleRound | None) -> None:
        now = self._clock.monotonic()
        old = self._told.get(job)
        committed = [(delta.lease_id, delta.receipt) for delta in state.deltas_in_order()]
        try:
            answered = self._parameters.settle(
                job, seen, state.header.base, committed, sorted(state.leases), generation=state.header.generation
            )
        except GraphbedError as error:
            self._metrics.settle_failures.inc()
            if old is None or not old.failed:
                log.warning("parameters not settled", job=job, error=str(error))
            self._told[job] = _Told(_facts(state), now, seen, failed=True, times=0)
            return
        times = old.times + 1 if old is not None and old.facts == _facts(state) else 1
        self._told[job] = _Told(_facts(state), now, answered, times=times)


def _facts(state: JobState) -> object:
    return state.header.status, state.header.next_commit, state.header.base, frozenset(state.leases)
