"""One simulated history from a seed: faults for a while, then none, and everything must come to its end."""

from collections import Counter
from dataclasses import dataclass

from graphbed.config.job import JobConfig
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.graph_document import write_graph
from graphbed.storage.manifest import manifest_sequences
from services.lockserver.plan import Plan
from services.lockserver.records import Lease
from tests.fixtures.history import check_history
from tests.simulation.impostor import Impostor
from tests.simulation.observer import Observer
from tests.simulation.operator import SimulatedOperator
from tests.simulation.owner import SimulatedOwner
from tests.simulation.parameters import ParameterServer, TrainerLink
from tests.simulation.patience import Patience
from tests.simulation.pinner import Pinner
from tests.simulation.restorer import Restorer
from tests.simulation.rot import Rot
from tests.simulation.servers import SimulatedServer
from tests.simulation.stores import FailingObjects, Objects, States
from tests.simulation.trainers import SimulatedTrainer
from tests.simulation.weather import Weather
from tests.simulation.world import NO_FAULTS, Faults, World
from tests.unit.lockserver.cluster import WITH_OPERATOR
from tests.unit.lockserver.examples import make_config, square_schema

QUIET_STEPS = 200_000
"""Without faults, a job that has not ended after so many more events never ends."""

KINDS = 4
"""Seeds are of so many kinds, not drawn, lest it changes every history: the job may have fewer trainers than there are;
it is deleted again and again, and another submitted under its name; objects rot; nothing of that."""
LIMITED, DELETED, ROTTEN = 1, 2, 3

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
    collected: int
    """Objects that were collected."""
    deletions: int
    """How often the job was deleted."""
    most_passes: float
    """How often a bucket was passed over in an epoch while it was free, as a share of the times that it may be."""
    most_waited: float
    """Longest wait of a trainer for work that was due, once faults were over. Virtual seconds."""
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
        max_trainers=trainers - 1 if seed % KINDS == LIMITED else None,
        lease={"ttl_seconds": 6.0, "max_failures": world.random.choice([1, 2, 3])},
        checkpoint={"interval_seconds": world.random.choice([1.0, 2.0, 8.0]), "keep_last": 2},
    )
    plan = Plan.from_config(config, schema)
    write_graph(objects, schema)
    # Of another job, whose name begins alike.
    objects.put(layout.partition_version(f"{config.job}-2", Partition("e", 0), "lease"), b"-")
    observer = Observer(world, plan, objects, num_epochs=epochs)
    objects.created, objects.deleted = observer.chain.created, observer.goes
    states = States(observer.observe, observer.restarted, observer.removed)
    parameters = ParameterServer(world, objects, observer, config.job)
    depth = [0]
    replicas = [
        SimulatedServer(world, f"lock-{n}", objects, states, parameters=parameters, depth=depth) for n in range(servers)
    ]
    reach = FailingObjects(world, objects, deadly=False)
    SimulatedOwner(world, replicas, reach, observer, config, gives_up=seed % KINDS == DELETED)
    poison = world.random.choice(sorted(plan.edges))
    workers = [
        SimulatedTrainer(
            world,
            f"trainer-{n}",
            replicas,
            reach,
            TrainerLink(world, parameters, deadly=False),
            plan,
            observer,
            poison=poison,
        )
        for n in range(trainers)
    ]

    def leases() -> list[Lease]:
        return [lease for worker in workers for lease, _, _ in worker.granted.values()]

    reach_slowly = FailingObjects(world, objects, deadly=False, depth=depth)
    for name in ("ann",) if seed % KINDS == DELETED else ("ann", "bob"):
        Pinner(world, name, objects, reach_slowly, observer, config.job)
    SimulatedOperator(world, config.job, replicas, leases)
    Impostor(world, replicas, leases)
    Weather(world, states)
    if seed % KINDS == ROTTEN:
        Rot(world, replicas, objects, reach_slowly, observer, config.job)
    else:
        Restorer(world, replicas, objects, observer, config.job)
    patience = Patience(world, plan, observer, workers, ttl_seconds=config.lease.ttl_seconds)
    while world.steps < steps and not observer.chain.has_ended:
        assert world.step()
    world.faults = NO_FAULTS
    world.store_is_away = False
    while not observer.chain.has_ended:
        assert world.steps < steps + QUIET_STEPS, "the job never ends"
        assert world.step()
    _check_end(objects, config, observer)
    return History(
        seed=seed,
        steps=world.steps,
        seconds=world.now,
        commits=observer.changes.committed,
        succeeded=observer.changes.succeeded,
        void_leases=observer.changes.void,
        skipped=observer.changes.skipped,
        lifted=observer.changes.lifted,
        losses=observer.losses,
        collected=observer.objects.deleted,
        deletions=observer.deletions,
        most_passes=observer.grants.most_passes,
        most_waited=patience.most_seconds,
        happened=world.happened,
        cells=world.cells,
    )


def _check_end(objects: Objects, config: JobConfig, observer: Observer) -> None:
    """The manifests have no gap, and what the object store alone tells is what was seen: a log in which each bucket was
    committed once an epoch, pointers that follow from it, and versions that are there."""
    sequences = manifest_sequences(objects, config.job)
    newest = observer.chain.newest
    assert newest is not None and list(sequences) == list(range(sequences[0], newest.sequence + 1))
    log = check_history(objects, config)
    assert tuple(record.lease_id for record in log) == observer.chain.ledger(newest.sequence).leases
