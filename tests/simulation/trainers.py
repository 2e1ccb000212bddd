"""Trainers of the simulated world: they ask, work, store and commit over a bad network, and may die or sleep."""

from collections.abc import Callable, Sequence
from typing import Any

from grpc import StatusCode

from graphbed.errors import GraphbedError
from graphbed.graph.partition import Bucket
from graphbed.storage.objects import ObjectStore
from services.lockserver.answers import Granted, Waiting
from services.lockserver.coordinator import Coordinator
from services.lockserver.plan import Plan
from services.lockserver.records import Lease
from services.lockserver.scheduler import NoWork
from tests.simulation.observer import Observer
from tests.simulation.parameters import TrainerLink
from tests.simulation.pipeline import Pipeline, next_request
from tests.simulation.servers import SimulatedServer
from tests.simulation.world import World

TIMEOUT_SECONDS = 1.0
PAUSE_SECONDS = (1.0, 30.0)
ANSWERS_KEPT_SECONDS = 1.5
"""A server remembers a trainer's last few answers: for at least so long."""
RENAMED = 0.5
"""Share of starts with a new name, as of a pod that replaces another: nobody asks for the old one's lease again."""

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
        parameters: TrainerLink,
        plan: Plan,
        observer: Observer,
        *,
        poison: Bucket,
    ) -> None:
        """Under faults nobody can train `poison`."""
        self._world = world
        self.name = name
        self._servers = servers
        self._observer = observer
        self._pipeline = Pipeline(world, self, store, parameters, plan, observer, poison=poison)
        self._life = 0
        self._asleep_until = 0.0
        self._is_asking = False
        self.granted: dict[str, tuple[Lease, float, int]] = {}
        """Request id → the lease that it was first answered with, when, and how often the state had been lost then."""
        world.after(world.random.uniform(0, 1), self._begin)

    @property
    def is_waiting_for_work(self) -> bool:
        """Whether it is awake and asks for its first lease."""
        return self._is_asking and self._world.now >= self._asleep_until

    # A life: from start to crash. Whatever was planned in an earlier life happens no more.

    def _begin(self, *, renamed: bool = False) -> None:
        self._life += 1
        if renamed or self._world.random.random() < RENAMED:
            self.name = f"{self.name.split('.')[0]}.{self._life}"
        self.acquire()

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        life = self._life

        def happen() -> None:
            if life != self._life:
                return
            if self._world.now < self._asleep_until:
                self._world.after(self._asleep_until - self._world.now, happen)
            elif self._world.chance("trainer_crash"):
                self.die()
            else:
                if self._world.chance("trainer_pause"):
                    self._asleep_until = self._world.now + self._world.random.uniform(*PAUSE_SECONDS)
                what()

        self._world.after(seconds, happen)

    def die(self, *, renamed: bool = False) -> None:
        self._life += 1
        self._is_asking = False
        self._world.after(self._world.random.uniform(0, 2), lambda: self._begin(renamed=renamed))

    # Work.

    def acquire(self) -> None:
        request_id = next_request(self.name)
        self._is_asking = True

        def acquire(coordinator: Coordinator) -> Any:
            answer = coordinator.acquire(trainer=self.name, request_id=request_id)
            if isinstance(answer, Granted):
                self._require_same_grant(request_id, answer.lease)
            return answer

        self.call("acquire", acquire, self._acquired)

    def _require_same_grant(self, request_id: str, lease: Lease) -> None:
        """A request that is repeated soon gets its first answer, unless the state was lost in between."""
        first, when, losses = self.granted.setdefault(request_id, (lease, self._world.now, self._observer.losses))
        if self._world.now - when < ANSWERS_KEPT_SECONDS and losses == self._observer.losses:
            assert first == lease, f"the request {request_id} was answered with {first.lease_id} and {lease.lease_id}"

    def _acquired(self, answer: Any) -> None:
        if isinstance(answer, Granted):
            self._is_asking = False
            self._pipeline.work(answer.lease)
        elif isinstance(answer, Waiting) and answer.reason is NoWork.DRAINING:
            # It ends; another comes in its place, and has a name of its own.
            self.die(renamed=True)
        else:
            self.later(0.3 if not isinstance(answer, GraphbedError) else 1.0, self.acquire)

    def ask(self, request_id: str, parent: str) -> Request:
        """The request for a successor of a lease."""

        def succeed(coordinator: Coordinator) -> Any:
            answer = coordinator.succeed(trainer=self.name, request_id=request_id, parent=parent)
            if isinstance(answer, Granted):
                self._require_same_grant(request_id, answer.lease)
            return answer

        return succeed

    # The network.

    def call(self, what: str, request: Request, answered: Callable[[Any], None]) -> None:
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
            self.later(TIMEOUT_SECONDS, send)

        send()

    def _deliver(self, server: SimulatedServer, what: str, request: Request, reply: Callable[[Any], None]) -> None:
        answer = server.handle(what, request)
        if not self._world.chance("lost"):
            self.later(self._delay(), lambda: reply(answer))

    def _delay(self) -> float:
        late = self._world.chance("late")
        return self._world.random.uniform(1, 20) if late else self._world.random.uniform(0.001, 0.05)
