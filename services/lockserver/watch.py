"""Watching leases: which of them have not been renewed for as long as they may be silent."""

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_STEP_SECONDS = 1.0
"""A longer gap between two looks counts as this much: while this server slept or could not read the state, no trainer
had the chance to renew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A live lease as it was just read."""

    lease_id: str
    renewals: int
    ttl_seconds: float


class LeaseWatch:
    """One server's memory of how long it has seen each lease unchanged, by its own monotonic clock."""

    def __init__(self) -> None:
        self._unchanged: dict[str, tuple[int, float]] = {}
        self._last_look: float | None = None

    def look(self, leases: Iterable[Watched], now: float) -> list[Watched]:
        """Note the live leases at `now` (monotonic seconds); return those that were silent for their whole ttl."""
        step = 0.0 if self._last_look is None else min(now - self._last_look, LONGEST_STEP_SECONDS)
        self._last_look = now
        unchanged: dict[str, tuple[int, float]] = {}
        silent = []
        for lease in leases:
            renewals, seconds = self._unchanged.get(lease.lease_id, (-1, 0.0))
            seconds = seconds + step if renewals == lease.renewals else 0.0
            unchanged[lease.lease_id] = (lease.renewals, seconds)
            if seconds >= lease.ttl_seconds:
                silent.append(lease)
        self._unchanged = unchanged
        return silent
