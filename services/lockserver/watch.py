"""Watching leases: which of them have not changed for as long as they may stay the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Mark = TypeVar("Mark")

LONGEST_STEP_SECONDS = 1.0
"""A longer gap between two looks counts as this much: while this server slept or could not read the state, no trainer
had the chance to renew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(Generic[Mark]):
    """A live lease as it was just read."""

    lease_id: str
    mark: Mark
    """What must change in time: its renewals, or its progress."""
    patience_seconds: float


class LeaseWatch(Generic[Mark]):
    """One server's memory of how long it has seen each lease unchanged, by its own monotonic clock."""

    def __init__(self, *, longest_step_seconds: float = LONGEST_STEP_SECONDS) -> None:
        self._longest_step_seconds = longest_step_seconds
        self._unchanged: dict[str, tuple[Mark | None, float]] = {}
        self._last_look: float | None = None

    def look(self, leases: Iterable[Watched[Mark]], now: float) -> list[Watched[Mark]]:
        """Note the live leases at `now` (monotonic seconds); return those whose patience is over."""
        step = 0.0 if self._last_look is None else min(now - self._last_look, self._longest_step_seconds)
        self._last_look = now
        unchanged: dict[str, tuple[Mark | None, float]] = {}
        overdue = []
        for lease in leases:
            mark, seconds = self._unchanged.get(lease.lease_id, (None, 0.0))
            seconds = seconds + step if mark == lease.mark else 0.0
            unchanged[lease.lease_id] = (lease.mark, seconds)
            if seconds >= lease.patience_seconds:
                overdue.append(lease)
        self._unchanged = unchanged
        return overdue
