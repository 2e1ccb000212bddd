"""Pace: how fast a job's edges come, and when the last one will have come."""

from collections import deque

WINDOW_SECONDS = 300.0
"""Long enough that a lease more or less does not matter, short enough to notice when trainers come or go."""
STEP_SECONDS = 1.0
"""Looks that follow each other faster are not kept: memory is bounded."""
SHORTEST_SECONDS = 3.0
"""Nothing is said after a shorter time."""


class Pace:
    """What one server saw of a job's trained edges over the last minutes."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, edges: int, now: float) -> None:
        """Note that `edges` are trained at `now`, monotonic seconds."""
        if self._seen and now - self._seen[-1][0] < STEP_SECONDS:
            return
        self._seen.append((now, edges))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    def edges_per_second(self) -> float | None:
        """Edges per second within the window, or None if it is too short to tell; leases that got lost count as 0."""
        if not self._seen:
            return None
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        if last_at - first_at < SHORTEST_SECONDS:
            return None
        return max(last - first, 0) / (last_at - first_at)

    def seconds_left(self, edges: int) -> float | None:
        """Seconds until `edges` more are trained, or None if nothing can be said."""
        speed = self.edges_per_second()
        if edges <= 0:
            return 0.0
        return edges / speed if speed else None
