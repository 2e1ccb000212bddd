"""Fitness: notices that the state store is another one, and sends callers elsewhere while a job cannot be served."""

from collections.abc import Callable

from graphbed import logs
from services.lockserver.jobs import JobTable

PERIOD_SECONDS = 1.0
"""How often the state store is asked who it is: one small command."""

log = logs.get_logger("graphbed.lockserver")


class Fitness:
    """Looks at what the jobs' use has found; the health service tells it to callers."""

    def __init__(self, *, jobs: JobTable, set_serving: Callable[[bool], None]) -> None:
        self._jobs = jobs
        self._set_serving = set_serving
        self._fit = True

    def tick(self) -> None:
        """Look once. Raises StoreUnavailable, StoreDenied."""
        self._jobs.look()
        reason = self._jobs.unfit()
        fit = reason is None
        if fit == self._fit:
            return
        self._fit = fit
        self._set_serving(fit)
        if fit:
            log.info("serving again")
        else:
            log.error("not serving", error=str(reason))
