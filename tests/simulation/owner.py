"""The owner of the simulated job: submits it; in some histories cancels and deletes it, and submits another one."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.errors import (
    GraphbedError,
    JobDeleted,
    JobNeeded,
    JobNotEnded,
    ManifestForeign,
    PinUnknown,
    StoreUnavailable,
)
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import unpin
from services.lockserver.deletion import Deleted
from services.lockserver.state import Status
from tests.simulation.observer import Observer
from tests.simulation.servers import SimulatedServer
from tests.simulation.trainers import is_to_be_repeated
from tests.simulation.world import NO_FAULTS, World

PATIENCE_SECONDS = (5.0, 15.0)
"""How long a job is left alone before it is cancelled."""
RETRY_SECONDS = 0.5
MOST_REFUSALS = 10


class SimulatedOwner:
    """Asks one server at a time, and again until it has its answer."""

    def __init__(
        self,
        world: World,
        servers: Sequence[SimulatedServer],
        store: ObjectStore,
        observer: Observer,
        config: JobConfig,
        *,
        gives_up: bool,
    ) -> None:
        """`gives_up`: while there are faults, every job is cancelled and deleted some time after it was submitted."""
        self._world = world
        self._servers = servers
        self._store = store
        self._observer = observer
        self._refusals: Counter[str] = Counter()
        self._config = config
        self._text = dump_job(config)
        self._gives_up = gives_up
        self._submit()

    def _submit(self) -> None:
        answer = self._server().handle("submit", lambda coordinator: coordinator.submit(self._text))
        if is_to_be_repeated(answer):
            self._world.after(RETRY_SECONDS, self._submit)
        elif isinstance(answer, JobDeleted):
            # The state store was put back to before the end of the deletion.
            self._world.after(RETRY_SECONDS, self._delete)
        else:
            assert not isinstance(answer, GraphbedError), answer
            if self._gives_up:
                self._world.after(self._world.random.uniform(*PATIENCE_SECONDS), self._give_up)

    def _give_up(self) -> None:
        if self._world.faults is not NO_FAULTS:
            self._cancel()

    def _cancel(self) -> None:
        before = self._newest()
        answer = self._server().operate("cancel", lambda operations: operations.cancel(self._config.job))
        if self._is_refused(answer):
            self._world.after(RETRY_SECONDS, self._cancel)
            return
        told = {manifest.status for manifest in self._observer.chain.since(before - 1)}
        assert told & {Status.CANCELLED, Status.COMPLETED}, "a cancel was answered, and no manifest tells of it"
        self._delete()

    def _delete(self) -> None:
        answer = self._server().operate("delete", lambda operations: operations.delete(self._config.job))
        if isinstance(answer, JobNotEnded):
            # Somebody has gone back to an older checkpoint.
            self._world.after(RETRY_SECONDS, self._cancel)
        elif isinstance(answer, Deleted) and answer.finished:
            assert self._observer.state is None, "a deletion was answered, and the job has a state"
            self._config = self._config.model_copy(update={"seed": self._config.seed + 1})
            self._text = dump_job(self._config)
            self._world.after(self._world.random.uniform(0, 1), self._submit)
        else:
            if isinstance(answer, JobNeeded):
                self._remove_dead_reader(answer.facts["pin"])
            else:
                assert isinstance(answer, Deleted) or self._is_refused(answer)
            self._world.after(RETRY_SECONDS, self._delete)

    def _remove_dead_reader(self, pin: str) -> None:
        """Nobody here reads for long: who seems to was not able to remove its pin."""
        self._refusals[pin] += 1
        kind, name = pin.split()
        if kind == "reader" and self._refusals[pin] > MOST_REFUSALS:
            with suppress(StoreUnavailable, PinUnknown):
                unpin(self._store, self._config.job, name)

    def _is_refused(self, answer: Any) -> bool:
        if not isinstance(answer, GraphbedError):
            return False
        assert is_to_be_repeated(answer) or isinstance(answer, ManifestForeign), answer
        return True

    def _newest(self) -> int:
        newest = self._observer.chain.newest
        return newest.sequence if newest else 0

    def _server(self) -> SimulatedServer:
        return self._world.random.choice(self._servers)
