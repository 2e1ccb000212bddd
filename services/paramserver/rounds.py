"""Rounds: numbers that order what callers saw against what this server did."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Round:
    """A point in the life of one server: its id, and how many rounds it had issued."""

    server_id: str
    number: int


class Rounds:
    """Issues rounds, numbered from 1, for all jobs of one server. Safe for concurrent threads."""

    def __init__(self, server_id: str) -> None:
        self.server_id = server_id
        self._lock = threading.Lock()
        self._issued = 0

    @property
    def issued(self) -> int:
        """How many there are so far."""
        return self._issued

    def issue(self) -> Round:
        """The next one."""
        with self._lock:
            self._issued += 1
            return Round(self.server_id, self._issued)
