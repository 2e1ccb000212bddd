"""Time as an argument: a real clock for processes, a manual one for tests."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for decisions, wall seconds for people, and waiting."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; shown and recorded, never compared."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


class ManualClock:
    """A clock that moves only when told to; waiting moves it."""

    def __init__(self, now: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._now = now
        self._wall_offset = wall - now

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now + self._wall_offset

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` ≥ 0."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.advance(max(seconds, 0.0))
        return event.is_set()
