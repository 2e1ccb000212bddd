"""Outages: notices that the object store is away, so that no lease begins that could neither fetch nor store."""

from graphbed import logs
from graphbed.errors import StoreDenied, StoreUnavailable
from graphbed.storage.objects import ObjectStore
from graphbed.storage.probe import require_answer

PERIOD_SECONDS = 2.0
"""How often the object store is asked whether it answers: one small request."""

log = logs.get_logger("graphbed.lockserver")


class Outage:
    """Whether the object store was away at the last look. Leases that live are renewed and committed meanwhile."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._away = False

    def is_on(self) -> bool:
        """Whether to grant nothing new."""
        return self._away

    def tick(self) -> None:
        """Look once."""
        try:
            require_answer(self._store)
        except (StoreUnavailable, StoreDenied) as error:
            if not self._away:
                log.warning("object store away: no new leases", error=str(error))
            self._away = True
        else:
            if self._away:
                log.info("object store back: leases begin again")
            self._away = False
