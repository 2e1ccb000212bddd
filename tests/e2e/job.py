"""The demonstration's job, watched from outside the cluster."""

import contextlib

from graphbed.clients.lockserver import LockServerClient
from graphbed.errors import GraphbedError
from graphbed.v1 import lockserver_pb2

NAME = "demo"


class WatchedJob:
    """What the lock servers tell of the job; each is asked through a port of this host."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._clients = [LockServerClient(address) for address in addresses]
        self._commits = 0
        self._share = 0.0
        self._status = lockserver_pb2.JOB_STATUS_UNSPECIFIED
        self.holders: set[str] = set()
        """Host names of the trainers that were seen with a lease since this was last emptied."""

    @property
    def commits(self) -> int:
        """Committed leases so far, as the first server tells that answers."""
        self._look()
        return self._commits

    @property
    def share(self) -> float:
        """How much of the job is done, from 0 to 1."""
        self._look()
        return self._share

    @property
    def ended(self) -> bool:
        self._look()
        return self._status == lockserver_pb2.JOB_STATUS_COMPLETED

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _look(self) -> None:
        for client in self._clients:
            with contextlib.suppress(GraphbedError):
                reply = client.get_job(NAME)
                self._commits = sum(epoch.leases for epoch in reply.epochs)
                self._share = reply.summary.edges_done / max(reply.summary.edges_total, 1)
                self._status = reply.summary.status
                self.holders.update(lease.trainer_id.split("-")[0] for lease in reply.leases)
                return
