"""Trainers of the simulated world: they ask, work, store and commit over a bad network, and may die or sleep."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from grpc import StatusCode

from graphbed.errors import GraphbedError, LeaseLost, StoreUnavailable
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, sha256_hex
from graphbed.storage.receipt import Receipt
from services.lockserver.coordinator import Commitment, Coordinator, Granted
from services.lockserver.plan import Plan
from services.lockserver.state import Lease, Progress
from tests.simulation.servers import SimulatedServer
from tests.simulation.world import NO_FAULTS, World

TIMEOUT_SECONDS = 1.0
WORK_SECONDS = (0.5, 4.0)
PAUSE_SECONDS = (1.0, 30.0)
ANSWERS_KEPT_SECONDS = 1.5
"""A server remembers a trainer's last few answers: for at least so long."""
RENAMED = 0.5
"""Share of starts with a new name, as of a pod that replaces another: nobody asks for the old one's lease again."""
RELEASED = 0.15
"""Share of leases that are handed back, as at SIGTERM."""
FAILED = 0.02
"""Share of leases that fail for no reason."""
POISONOUS_DEATHS = 0.5
"""Share of the leases with the poisonous bucket that kill their trainer; the others are handed back as failed."""
_ids = itertools.count(1)

Request = Callable[[Coordinator], Any]


def is_to_be_repeated(answer: Any) -> bool:
    """Whether nobody has answered, or has said to try again."""
    return isinstance(answer, GraphbedError) and answer.code is StatusCode.UNAVAILABLE


class SimulatedTrainer:
    """One trainer. A reply that comes after its call was given up is dropped; a call is repeated under its id."""

    def __init__(
        self,
        world: World,
        name: str,
        servers: Sequence[SimulatedServer],
        store: ObjectStore,
        plan: Plan,
        *,
        losses: Callable[[], int],
        lives: Callable[[str], bool],
        poison: Bucket,
        handed_back: set[str],
    ) -> None:
        """`losses` tells how often the state was lost so far, `lives` whether a lease lives. Under faults nobody can
        train `poison`. Leases that are handed back without a failure are added to `handed_back`."""
        self._world = world
        self.name = name
        self._servers = servers
        self._store = store
        self._plan = plan
        self._losses = losses
        self._poison = poison
        self._handed_back = handed_back
        self._lives = lives
        self._life = 0
        self._asleep_until = 0.0
        self.granted: dict[str, tuple[Lease, float, int]] = {}
        """Request id → the lease that it was first answered with, when, and how often the state had been lost then."""
        world.after(world.random.uniform(0, 1), self._begin)

    # A life: from start to crash. Whatever was planned in an earlier life happens no more.

    def _begin(self) -> None:
        self._life += 1
        if self._world.random.random() < RENAMED:
            self.name = f"{self.name.split('.')[0]}.{self._life}"
        self._acquire()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        life = self._life

        def happen() -> None:
            if life != self._life:
                return
            if self._world.now < self._asleep_until:
                self._world.after(self._asleep_until - self._world.now, happen)
            elif self._world.chance("trainer_crash"):
                self._die()
            else:
                if self._world.chance("trainer_pause"):
                    self._asleep_until = self._world.now + self._world.random.uniform(*PAUSE_SECONDS)
                what()

        self._world.after(seconds, happen)

    def _die(self) -> None:
        self._life += 1
        self._world.after(self._world.random.uniform(0, 5), self._begin)

    # Work.

    def _acquire(self) -> None:
        request_id = f"{self.name}-{next(_ids)}"

        def acquire(coordinator: Coordinator) -> Any:
            answer = coordinator.acquire(trainer=self.name, request_id=request_id)
            if isinstance(answer, Granted):
                self._require_same_grant(request_id, answer.lease)
            return answer

        self._call("acquire", acquire, self._acquired)

    def _require_same_grant(self, request_id: str, lease: Lease) -> None:
        """A request that is repeated soon gets its first answer, unless the state was lost in between."""
        first, when, losses = self.granted.setdefault(request_id, (lease, self._world.now, self._losses()))
        if self._world.now - when < ANSWERS_KEPT_SECONDS and losses == self._losses():
            assert first == lease, f"the request {request_id} was answered with {first.lease_id} and {lease.lease_id}"

    def _acquired(self, answer: Any) -> None:
        if isinstance(answer, Granted):
            self._work(answer.lease)
        else:
            self._later(0.3 if not isinstance(answer, GraphbedError) else 1.0, self._acquire)

    def _work(self, lease: Lease) -> None:
        for start in lease.partitions:
            if start.version is not None and self._lives(lease.lease_id):
                assert self._store_has(start.version), f"{start.version.key} is granted and not there"
        ends = self._world.now + self._world.random.uniform(*WORK_SECONDS)
        lost: list[bool] = []

        def beat() -> None:
            if lost:
                return
            self._call(
                "renew",
                lambda c: c.renew(trainer=self.name, lease_id=lease.lease_id, progress=Progress()),
                lambda answer: lost.append(True) if isinstance(answer, LeaseLost) else None,
            )
            if self._world.now < ends:
                self._later(1.0, beat)

        def end() -> None:
            if lost:
                self._acquire()
            elif self._is_poisoned(lease) and self._world.random.random() < POISONOUS_DEATHS:
                self._die()
            elif self._is_poisoned(lease) or self._world.random.random() < FAILED:
                self._release(lease, failure="no memory")
            elif self._world.random.random() < RELEASED:
                self._release(lease)
            else:
                self._store_all(lease)

        self._later(0.5, beat)
        self._later(ends - self._world.now, end)

    def _is_poisoned(self, lease: Lease) -> bool:
        return self._poison in lease.buckets and self._world.faults is not NO_FAULTS

    def _store_all(self, lease: Lease) -> None:
        try:
            receipts = [(start.partition, self._put(lease, start.partition)) for start in lease.partitions]
            delta = self._put_delta(lease)
        except StoreUnavailable:
            self._later(0.5, lambda: self._store_all(lease))
            return
        request_id = f"{self.name}-{next(_ids)}"
        done = Commitment(lease_id=lease.lease_id, versions=receipts, parameters=delta, edges=1, loss=1.0)
        self._call(
            "commit",
            lambda c: c.commit(trainer=self.name, request_id=request_id, done=done),
            lambda _: self._acquire(),
        )

    def _release(self, lease: Lease, failure: str = "") -> None:
        if not failure:
            self._handed_back.add(lease.lease_id)
        request_id = f"{self.name}-{next(_ids)}"
        self._call(
            "release",
            lambda c: c.release(
                trainer=self.name,
                request_id=request_id,
                lease_id=lease.lease_id,
                reason="failed" if failure else "shutdown",
                failure=failure,
            ),
            lambda _: self._acquire(),
        )

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

    def _put_delta(self, lease: Lease) -> Receipt | None:
        if not self._plan.has_parameters:
            return None
        key = layout.parameter_delta(self._plan.job, lease.lease_id)
        stored = self._store.put(key, lease.lease_id.encode())
        return Receipt(key=key, size=stored.size, sha256=stored.sha256)

    def _store_has(self, version: Receipt) -> bool:
        try:
            data = self._store.get(version.key)
        except StoreUnavailable:
            return True
        return (len(data), sha256_hex(data)) == (version.size, version.sha256)

    # The network.

    def _call(self, what: str, request: Request, answered: Callable[[Any], None]) -> None:
        """Send a request until it is answered; the answer may be an error. Replies of the past are dropped."""
        settled: list[bool] = []
        life = self._life

        def reply(answer: Any) -> None:
            if settled or life != self._life or is_to_be_repeated(answer):
                return
            settled.append(True)
            answered(answer)

        def send() -> None:
            if settled:
                return
            server = self._world.random.choice(self._servers)
            for _ in range(2 if self._world.chance("repeated") else 1):
                if not self._world.chance("lost"):
                    self._world.after(self._delay(), lambda: self._deliver(server, what, request, reply))
            self._later(TIMEOUT_SECONDS, send)

        send()

    def _deliver(self, server: SimulatedServer, what: str, request: Request, reply: Callable[[Any], None]) -> None:
        answer = server.handle(what, request)
        if not self._world.chance("lost"):
            self._later(self._delay(), lambda: reply(answer))

    def _delay(self) -> float:
        late = self._world.chance("late")
        return self._world.random.uniform(1, 20) if late else self._world.random.uniform(0.001, 0.05)
