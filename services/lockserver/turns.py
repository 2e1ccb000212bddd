"""Turns: which of several jobs comes first when a trainer asks for work."""

from collections.abc import Iterable
from dataclasses import replace

from services.lockserver.context import JobContext
from services.lockserver.state import JobState, Status


def turn(context: JobContext, state: JobState) -> tuple[float, float, str]:
    """Whose turn it is; lower comes first.

    The highest priority, then the fewest trainers for its share. A lease that failed counts as a trainer until the next
    commit: a job that only fails never has many, and would be given to every trainer first.
    """
    config = context.config
    return -config.priority, (len(state.trainers_at_work()) + state.header.failed_in_a_row) / config.share, config.job


def is_in_turn(job: str, trainer: str, found: Iterable[tuple[JobContext, JobState]]) -> bool:
    """Whether the job would be the first to be asked if this trainer held nothing: a successor passes over no other."""

    def without(state: JobState) -> JobState:
        return replace(state, leases={name: lease for name, lease in state.leases.items() if lease.trainer != trainer})

    running = [entry for entry in found if entry[1].header.status is Status.RUNNING]
    turns = {context.config.job: turn(context, without(state)) for context, state in running}
    return job in turns and turns[job] == min(turns.values())
