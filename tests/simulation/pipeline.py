"""What a simulated trainer does with a lease: it beats, works, takes up a successor meanwhile, stores and commits."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from graphbed.errors import (
    GraphbedError,
    JobUnsettled,
    LeaseLost,
    ObjectMissing,
    ParentUncommitted,
    PushMissing,
    ServerUnreachable,
    StoreUnavailable,
)
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, sha256_hex
from graphbed.storage.receipt import Receipt
from services.lockserver.answers import Commitment, Granted
from services.lockserver.coordinator import Coordinator
from services.lockserver.plan import Plan
from services.lockserver.records import Lease, Progress
from tests.simulation.observer import Observer
from tests.simulation.parameters import TrainerLink
from tests.simulation.values import PARTLY, WHOLLY
from tests.simulation.world import NO_FAULTS, World

WORK_SECONDS = (0.5, 4.0)
RELEASED = 0.15
"""Share of leases that are handed back, as at SIGTERM."""
FAILED = 0.02
"""Share of leases that fail for no reason."""
POISONOUS_DEATHS = 0.5
"""Share of the leases with the poisonous bucket that kill their trainer; the others are handed back as failed."""
SUCCEEDED = 0.7
"""Share of leases for which a successor is asked for while they are worked on."""
HURRIED = 0.2
"""Share of successors that are trained at once, while their parents' commits are under way."""
SHARED = 0.5
"""Share of leases that tell the parameter server of what they add before it is all."""
ASK_AGAIN_SECONDS = 1.5
HASTY = 0.3
"""Share of successors whose trainer tries to commit them whatever became of their parents."""
_ids = itertools.count(1)


def next_request(trainer: str) -> str:
    """A request id that nobody has used."""
    return f"{trainer}-{next(_ids)}"


class Life(Protocol):
    """The trainer that works: it calls servers, waits, and may die; what it planned ends with its life."""

    name: str

    def call(self, what: str, request: Callable[[Coordinator], Any], answered: Callable[[Any], None]) -> None: ...

    def later(self, seconds: float, what: Callable[[], None]) -> None: ...

    def acquire(self) -> None: ...

    def ask(self, request_id: str, parent: str) -> Callable[[Coordinator], Any]: ...

    def die(self) -> None: ...


@dataclass
class _Stage:
    """A lease in hand."""

    lease: Lease
    lost: bool = False
    spoilt: bool = False
    """Whether a version that it starts from was damaged in the store."""
    trained: bool = False
    asking: bool = False
    """Whether a successor was asked for and the answer is not there."""
    over: bool = False
    """Whether it is committed."""
    parent: "_Stage | None" = None
    successor: "_Stage | None" = None
    go_on: Callable[[], None] | None = None
    """What its training waits with for the answer, or its commit for the parent's."""


class Pipeline:
    """The leases of one trainer."""

    def __init__(
        self,
        world: World,
        life: Life,
        store: ObjectStore,
        parameters: TrainerLink,
        plan: Plan,
        observer: Observer,
        *,
        poison: Bucket,
    ) -> None:
        self._world = world
        self._life = life
        self._store = store
        self._parameters = parameters
        self._plan = plan
        self._observer = observer
        self._poison = poison

    def work(self, lease: Lease) -> None:
        """Work on a lease that succeeds none."""
        stage = self._take(lease, None)
        self._train(stage)

    def _take(self, lease: Lease, parent: _Stage | None) -> _Stage:
        stage = _Stage(lease, parent=parent)
        for start in lease.partitions:
            if start.version is not None and self._observer.lives(lease.lease_id):
                stage.spoilt |= not self._store_has(start.version)

        def beat() -> None:
            if stage.lost or stage.over:
                return
            self._life.call(
                "renew",
                lambda coordinator: self._renew(coordinator, lease),
                lambda answer: self._lose(stage) if isinstance(answer, LeaseLost) else None,
            )
            self._life.later(1.0, beat)

        self._life.later(0.5, beat)
        return stage

    def _renew(self, coordinator: Coordinator, lease: Lease) -> None:
        """A renewal that is answered is counted, unless the state was lost in between."""
        before = self._observer.signs(lease.lease_id)
        coordinator.renew(trainer=self._life.name, lease_id=lease.lease_id, progress=Progress())
        counted = self._observer.signs(lease.lease_id) != before
        assert counted, f"a renewal of {lease.lease_id} was answered and not counted"

    def _lose(self, stage: _Stage) -> None:
        stage.lost = True
        if stage.go_on is not None:
            self._resume(stage)

    def _train(self, stage: _Stage) -> None:
        hurried = stage.parent is not None and self._world.random.random() < HURRIED
        seconds = 0.0 if hurried else self._world.random.uniform(*WORK_SECONDS)
        if self._world.random.random() < SUCCEEDED:
            self._life.later(self._world.random.uniform(0, seconds), lambda: self._ask(stage))
        if self._world.random.random() < SHARED:
            self._life.later(self._world.random.uniform(0, seconds), lambda: self._share(stage))
        self._life.later(seconds, lambda: self._end(stage))

    def _share(self, stage: _Stage) -> None:
        """Push what the lease has added so far; if that fails, what it pushes next tells it as well."""
        if stage.lost or stage.trained:
            return
        try:
            self._parameters.push(stage.lease.lease_id, PARTLY)
        except LeaseLost:
            self._must_be_void(stage)
            self._lose(stage)
        except (ServerUnreachable, StoreUnavailable, JobUnsettled):
            pass

    def _must_be_void(self, stage: _Stage) -> None:
        lease_id = stage.lease.lease_id
        assert not self._observer.lives(lease_id), f"the parameter server takes {lease_id} for void, and it lives"

    def _ask(self, stage: _Stage) -> None:
        if stage.lost or stage.trained:
            return
        stage.asking = True

        def answered(answer: Any) -> None:
            stage.asking = False
            if isinstance(answer, Granted):
                stage.successor = self._take(answer.lease, stage)
            elif not isinstance(answer, GraphbedError):
                self._life.later(ASK_AGAIN_SECONDS, lambda: self._ask(stage))
            self._resume(stage)

        self._life.call("succeed", self._life.ask(next_request(self._life.name), stage.lease.lease_id), answered)

    def _resume(self, stage: _Stage) -> None:
        if stage.go_on is not None:
            go_on, stage.go_on = stage.go_on, None
            go_on()

    def _end(self, stage: _Stage) -> None:
        stage.trained = True
        lease, chance = stage.lease, self._world.random.random
        poisoned = self._poison in lease.buckets and self._world.faults is not NO_FAULTS
        if stage.asking and not stage.lost:
            stage.go_on = lambda: self._end(stage)
        elif stage.lost:
            self._begin_anew(stage)
        elif stage.spoilt:
            self._release(stage, failure="damaged")
        elif poisoned and chance() < POISONOUS_DEATHS:
            self._life.die()
        elif poisoned or chance() < FAILED:
            self._release(stage, failure="no memory")
        elif chance() < RELEASED:
            self._release(stage)
        else:
            self._store_all(stage)
            if stage.successor is not None:
                self._train(stage.successor)

    def _store_all(self, stage: _Stage) -> None:
        lease = stage.lease
        try:
            receipts = [(start.partition, self._put(lease, start.partition)) for start in lease.partitions]
            self._parameters.push(lease.lease_id, WHOLLY)
            delta = self._parameters.seal(lease.lease_id)
        except (StoreUnavailable, ServerUnreachable, JobUnsettled, PushMissing):
            self._life.later(0.5, lambda: self._store_all(stage))
            return
        except LeaseLost:
            self._must_be_void(stage)
            self._fail(stage)
            return
        done = Commitment(lease_id=lease.lease_id, versions=receipts, parameters=delta, edges=1, loss=1.0)
        parent = stage.parent
        if parent is None or parent.over or parent.lost or self._world.random.random() < HASTY:
            self._commit(stage, done)
        else:
            parent.go_on = lambda: self._commit(stage, done)

    def _commit(self, stage: _Stage, done: Commitment) -> None:
        request_id = next_request(self._life.name)

        def answered(answer: Any) -> None:
            if isinstance(answer, ParentUncommitted):
                self._life.later(0.5, lambda: self._commit(stage, done))
                return
            stage.over = not isinstance(answer, GraphbedError)
            if not stage.over:
                self._fail(stage)
                return
            if stage.successor is None:
                self._begin_anew(stage)
            self._resume(stage)

        self._life.call(
            "commit", lambda c: c.commit(trainer=self._life.name, request_id=request_id, done=done), answered
        )

    def _fail(self, stage: _Stage) -> None:
        """The lease is void; a successor that is trained by now will be told so."""
        stage.lost = True
        if stage.successor is None:
            self._begin_anew(stage)
        self._resume(stage)

    def _release(self, stage: _Stage, failure: str = "") -> None:
        if not failure:
            self._observer.changes.handed_back.add(stage.lease.lease_id)
        request_id = next_request(self._life.name)
        self._life.call(
            "release",
            lambda c: c.release(
                trainer=self._life.name,
                request_id=request_id,
                lease_id=stage.lease.lease_id,
                reason="failed" if failure else "shutdown",
                failure=failure,
            ),
            lambda _: self._begin_anew(stage),
        )

    def _begin_anew(self, stage: _Stage) -> None:
        """Ask for other work; while the parent's commit is not answered, that would void it."""
        parent = stage.parent
        if parent is None or parent.over or parent.lost:
            self._life.acquire()
        else:
            parent.go_on = self._life.acquire

    def _put(self, lease: Lease, partition: Partition) -> Receipt:
        key = layout.partition_version(self._plan.job, partition, lease.lease_id)
        stored = self._store.put(key, f"{lease.lease_id} {partition}".encode())
        return Receipt(
            key=key,
            size=stored.size,
            sha256=stored.sha256,
            rows=self._plan.rows[partition],
            dimension=self._plan.dimension,
        )

    def _store_has(self, version: Receipt) -> bool:
        """Whether a version is there as it was stored; fails the run if that is no damage."""
        try:
            data = self._store.get(version.key)
        except StoreUnavailable:
            return True
        except ObjectMissing:
            data = b""
        whole = (len(data), sha256_hex(data)) == (version.size, version.sha256)
        assert whole or self._observer.is_damaged(version.key), f"{version.key} is granted and not there"
        return whole
