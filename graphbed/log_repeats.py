"""Repeats: a line that says the same again and again is logged now and then, with how often it was left out."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog

QUIET_SECONDS = 10.0
"""A line is not logged again for so long: a store that is away for an hour is no flood."""
LINES_KEPT = 256
"""Lines remembered; the one that was logged longest ago is forgotten first."""


class RepeatFilter:
    """A structlog processor that drops lines with equal events and facts. Safe for threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` gives monotonic seconds."""
        self._now = now
        self._logged: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Line → when it was logged last, and how often it was dropped since."""
        self._lock = threading.Lock()

    def __call__(self, logger: Any, method: str, facts: Any) -> Any:
        line = f"{getattr(logger, 'name', '')} {method} {sorted(facts.items(), key=lambda fact: fact[0])}"
        now = self._now()
        with self._lock:
            at, dropped = self._logged.get(line, (None, 0))
            if at is not None and now - at < QUIET_SECONDS:
                self._logged[line] = at, dropped + 1
                raise structlog.DropEvent
            self._logged[line] = now, 0
            self._logged.move_to_end(line)
            if len(self._logged) > LINES_KEPT:
                self._logged.popitem(last=False)
        if dropped:
            facts["repeated"] = dropped
        return facts
