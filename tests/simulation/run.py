"""One simulated history from a seed: faults for a while, then none, and everything must come to its end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.errors import GraphbedError
from graphbed.storage.chain import commit_log
from graphbed.storage.graph_document import write_graph
from graphbed.storage.manifest import Manifest, manifest_sequences, read_manifest, require_newest
from services.lockserver.answers import Commitment
from services.lockserver.coordinator import Coordinator
from services.lockserver.plan import Plan
from services.lockserver.records import Lease, Progress
from tests.fixtures.history import check_history
from tests.simulation.observer import Observer
from tests.simulation.operator import SimulatedOperator
from tests.simulation.pinner import Pinner
from tests.simulation.servers import SimulatedServer
from tests.simulation.stores import FORGOTTEN_CHANGES, FailingObjects, Objects, States
from tests.simulation.trainers import SimulatedTrainer, is_to_be_repeated
from tests.simulation.world import NO_FAULTS, Faults, World
from tests.unit.lockserver.cluster import WITH_OPERATOR
from tests.unit.lockserver.examples import make_config, square_schema

QUIET_STEPS = 200_000
"""Without faults, a job that has not ended after so many more events never ends."""

RESTORED = 4
"""An operator goes back to one of so many newest checkpoints."""

LIMITED = 4
"""In one history of so many, the job may have fewer trainers than there are."""

SHAPES = ((4, 2, 12), (4, 4, 12), (4, 4, 12), (8, 8, 3), (8, 8, 3))
"""Partitions, groups and epochs of the jobs. In the larger ones three trainers leave something for their successors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a run came to."""

    seed: int
    steps: int
    seconds: float
    """Virtual."""
    commits: int
    succeeded: int
    """Commits of leases that were granted as successors."""
    void_leases: int
    skipped: int
    """Buckets that were given up in an epoch."""
    lifted: int
    """Buckets that were made due again."""
    losses: int
    """How often the state was lost."""
    deleted: int
    """Objects that were collected."""
    happened: Counter[str]
    cells: Counter[tuple[str, str]]


def simulate(seed: int, *, steps: int, faults: Faults | None = None, servers: int = 2, trainers: int = 3) -> History:
    """Run a job under faults for `steps` events and then without, check the end, and return what happened.

    Raises AssertionError at the first broken invariant; the same seed breaks it again.
    """
    world = World(seed, faults or Faults())
    objects = Objects()
    partitions, groups, epochs = world.random.choice(SHAPES)
    schema = square_schema(partitions)
    config = make_config(
        schema,
        num_epochs=epochs,
        num_groups=groups,
        relations=WITH_OPERATOR,
        # Not drawn, lest it changes every history.
        max_trainers=trainers - 1 if seed % LIMITED == 1 else None,
        lease={"ttl_seconds": 6.0, "max_failures": world.random.choice([1, 2, 3])},
        checkpoint={"interval_seconds": world.random.choice([1.0, 2.0, 8.0]), "keep_last": 2},
    )
    plan = Plan.from_config(config, schema)
    write_graph(objects, schema)
    observer = Observer(plan, objects)
    objects.created, objects.deleted = observer.chain.created, observer.deleted_now
    states = States(observer.observe, observer.restarted)
    depth, compacted = [0], {}
    replicas = [
        SimulatedServer(world, f"lock-{n}", objects, states, depth=depth, compacted=compacted) for n in range(servers)
    ]
    _submit(world, replicas, config)
    reach = FailingObjects(world, objects, deadly=False)
    poison = world.random.choice(sorted(plan.edges))
    workers = [
        SimulatedTrainer(
            world,
            f"trainer-{n}",
            replicas,
            reach,
            plan,
            losses=lambda: observer.losses,
            lives=observer.lives,
            signs=observer.signs,
            poison=poison,
            handed_back=observer.handed_back,
        )
        for n in range(trainers)
    ]

    def leases() -> list[Lease]:
        return [lease for worker in workers for lease, _, _ in worker.granted.values()]

    reach_slowly = FailingObjects(world, objects, deadly=False, depth=depth)
    for name in ("ann", "bob"):
        Pinner(world, name, objects, reach_slowly, observer, config.job)
    SimulatedOperator(world, config.job, replicas, leases)
    _Impostor(world, replicas, leases)
    _lose_states(world, states)
    _Restorer(world, replicas, objects, observer, config.job)
    while world.steps < steps and not observer.chain.has_ended:
        assert world.step()
    world.faults = NO_FAULTS
    while not observer.chain.has_ended:
        assert world.steps < steps + QUIET_STEPS, "the job never ends"
        assert world.step()
    _check_end(objects, config, compacted)
    return History(
        seed=seed,
        steps=world.steps,
        seconds=world.now,
        commits=observer.committed,
        succeeded=observer.succeeded,
        void_leases=observer.void,
        skipped=observer.skipped,
        lifted=observer.lifted,
        losses=observer.losses,
        deleted=observer.deleted,
        happened=world.happened,
        cells=world.cells,
    )


def _submit(world: World, servers: list[SimulatedServer], config: JobConfig) -> None:
    text = dump_job(config)

    def send() -> None:
        answer = world.random.choice(servers).handle("submit", lambda c: c.submit(text))
        if is_to_be_repeated(answer):
            world.after(1.0, send)
        else:
            assert not isinstance(answer, GraphbedError), answer

    send()


def _lose_states(world: World, states: States) -> None:
    """The state store forgets something now and then."""

    def look() -> None:
        world.after(1.0, look)
        if world.chance("state_loss"):
            states.forget()
        if world.chance("state_restart"):
            states.restart(forgotten=0)
        if world.chance("state_put_back"):
            states.restart(forgotten=world.random.randint(1, FORGOTTEN_CHANGES))

    world.after(1.0, look)


class _Restorer:
    """An operator who goes back to one of the newest checkpoints now and then."""

    def __init__(
        self, world: World, servers: list[SimulatedServer], objects: Objects, observer: Observer, job: str
    ) -> None:
        self._world = world
        self._servers = servers
        self._objects = objects
        self._observer = observer
        self._job = job
        world.after(1.0, self._look)

    def _look(self) -> None:
        self._world.after(1.0, self._look)
        sequences = manifest_sequences(self._objects, self._job)
        if not sequences or not self._world.chance("restore"):
            return
        sequence = self._world.random.choice(sequences[-RESTORED:])
        self._restore(sequence)

    def _restore(self, sequence: int) -> None:
        """Ask until somebody answers."""
        self._observer.chain.restores.add(sequence)
        answer = self._world.random.choice(self._servers).handle("restore", lambda c: c.restore(self._job, sequence))
        if is_to_be_repeated(answer):
            self._world.after(1.0, lambda: self._restore(sequence))
        if isinstance(answer, Manifest):
            assert (answer.parent, answer.commits) == (sequence, ())
            assert read_manifest(self._objects, self._job, answer.sequence)[0] == answer
            assert self._observer.has_taken(answer), f"the restore to {sequence} was answered and did not happen"


class _Impostor:
    """Asks for what only a lease's holder may have; whatever it is answered, the observer sees that nothing changes."""

    name = "impostor"

    def __init__(self, world: World, servers: list[SimulatedServer], leases: Callable[[], list[Lease]]) -> None:
        self._world = world
        self._servers = servers
        self._leases = leases
        world.after(1.0, self._try)

    def _try(self) -> None:
        self._world.after(2.0, self._try)
        leases = self._leases()
        if not leases:
            return
        lease_id = self._world.random.choice(leases).lease_id
        number = str(self._world.steps)

        def renew(coordinator: Coordinator) -> object:
            return coordinator.renew(trainer=self.name, lease_id=lease_id, progress=Progress())

        def release(coordinator: Coordinator) -> object:
            coordinator.release(trainer=self.name, request_id=number, lease_id=lease_id, reason="shutdown", failure="")
            return None

        def commit(coordinator: Coordinator) -> object:
            done = Commitment(lease_id=lease_id, versions=[], parameters=None, edges=1, loss=0.0)
            coordinator.commit(trainer=self.name, request_id=number, done=done)
            return None

        for what, request in (("foreign renew", renew), ("foreign release", release), ("foreign commit", commit)):
            answer = self._world.random.choice(self._servers).handle(what, request)
            assert isinstance(answer, GraphbedError), f"{what} of {lease_id} was answered {answer}"


def _check_end(objects: Objects, config: JobConfig, compacted: dict[str, list[str]]) -> None:
    """The manifests have no gap; along their chain each bucket is committed once an epoch, and the parameters of the
    last are the deltas of exactly the committed leases."""
    sequences = manifest_sequences(objects, config.job)
    assert list(sequences) == list(range(1, len(sequences) + 1))
    check_history(objects, config)
    newest = require_newest(objects, config.job)
    base, deltas = newest.parameters.base, newest.parameters.deltas
    held = [*(compacted[base.key] if base else []), *(lease_of(version.key) for version in deltas)]
    assert held == [record.lease_id for record in commit_log(objects, config.job)]


def lease_of(key: str) -> str:
    """The lease that a sealed delta is named after."""
    return key.rsplit("/", 1)[1].removesuffix(".safetensors")
