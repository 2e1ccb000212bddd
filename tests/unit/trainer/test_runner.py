"""The runner with the compiled kernel on a table of a few entities."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from prometheus_client import CollectorRegistry

from graphbed.clock import SystemClock
from graphbed.config.choices import Device
from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.errors import InputError, LeaseLost, NotFinite
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket, Partition
from graphbed.graph.schema import EntityTable, GraphSchema, RelationEntry, StoredFile
from graphbed.model.device.residency import Residency
from graphbed.model.kernel import Table
from graphbed.model.parameters import initial_parameters
from graphbed.model.relations import RelationGroups
from services.trainer.device_engine import DeviceEngine
from services.trainer.engines import Engine, open_engine
from services.trainer.jobs import Job
from services.trainer.metrics import TrainerMetrics
from services.trainer.progress import ProgressBoard
from services.trainer.runner import Runner, lease_seed
from services.trainer.work import Assignment, LeaseTable, LeaseWork

ENTITIES, EDGES, RELATIONS = 60, 700, 3


class NoOthers:
    """Shared parameters of a job that nobody else trains."""

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        self.values = values
        self.syncs = 0

    def sync(self) -> None:
        self.syncs += 1


def config() -> JobConfig:
    text = """
        job: j
        graph: g
        entities: {entity: {num_partitions: 1}}
        relations: [{name: "*", lhs: entity, rhs: entity, operator: complex_diagonal, reciprocal: true}]
        dimension: 8
        comparator: dot
        loss_fn: softmax
        batch_size: 64
        num_batch_negs: 16
        num_uniform_negs: 16
        lr: 0.1
        init_scale: 0.1
        trainer: {parameter_sync_seconds: 0.01}
    """
    return parse_job(text, source="test")


def work() -> tuple[LeaseWork, NoOthers]:
    settings = config()
    file = StoredFile(key="k", size=1, sha256="0", rows=ENTITIES)
    schema = GraphSchema(
        name="g",
        seed=0,
        entities={"entity": EntityTable(partitions=(file,))},
        relations=tuple(RelationEntry(name=f"r{i}", lhs="entity", rhs="entity") for i in range(RELATIONS)),
        relation_file=file,
        splits={},
        weighted=False,
    )
    groups = RelationGroups.from_schema(settings, schema)
    random = np.random.default_rng(5)
    values = initial_parameters(settings, groups)
    job = Job(
        config=settings, schema=schema, groups=groups, edge_files={}, tensors=tuple(sorted(values)), parameter_bytes=0
    )
    partition = Partition("entity", 0)
    assignment = Assignment(
        job=job,
        lease_id="l",
        epoch=0,
        buckets=(Bucket(0, 0),),
        versions={partition: None},
        learning_rate_factor=1.0,
    )
    table = Table(
        embeddings=random.normal(0, 0.1, (ENTITIES, settings.dimension)).astype(np.float32),
        sums=np.zeros((ENTITIES, 1), np.float32),
    )
    edges = EdgeArrays.unweighted(
        random.integers(0, ENTITIES, EDGES),
        random.integers(0, RELATIONS, EDGES).astype(np.int32),
        random.integers(0, ENTITIES, EDGES),
    )
    tables = {"entity": LeaseTable(table=table, starts={partition: 0})}
    return LeaseWork(assignment=assignment, tables=tables, edges=[edges]), NoOthers(values)


def train(
    lease: LeaseWork,
    shared: NoOthers,
    *,
    threads: int,
    check: object = None,
    engines: Callable[[Device], Engine] = open_engine,
) -> ProgressBoard:
    runner = Runner(
        threads=threads,
        device=None,
        clock=SystemClock(),
        metrics=TrainerMetrics(CollectorRegistry()),
        engines=engines,
    )
    board = ProgressBoard()
    runner.train(lease, shared, board, check=check if callable(check) else lambda: None)  # type: ignore[arg-type]
    return board


@pytest.mark.parametrize("threads", [1, 3])
def test_every_edge_is_trained_once_and_the_loss_falls(threads: int) -> None:
    lease, shared = work()
    board = train(lease, shared, threads=threads)
    assert board.edges == EDGES == lease.edges_trained
    first = lease.loss
    for _ in range(5):
        train(lease, shared, threads=threads)
    assert lease.loss < 0.95 * first


def test_the_device_engine_trains_the_same_lease() -> None:
    lease, shared = work()
    engine = DeviceEngine(Residency(torch.device("cpu")))
    losses = []
    for _ in range(6):
        board = train(lease, shared, threads=3, engines=lambda _: engine)
        assert board.edges == EDGES == lease.edges_trained
        losses.append(lease.loss)
    assert losses[-1] < 0.95 * losses[0]


def test_a_gpu_asked_for_where_there_is_none_is_refused_before_anything_is_trained() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="the device cuda cannot be used on this machine"):
        Runner(threads=1, device=Device.CUDA, clock=SystemClock(), metrics=TrainerMetrics(CollectorRegistry()))


def test_one_thread_gives_the_same_bits_again() -> None:
    results = []
    for _ in range(2):
        lease, shared = work()
        train(lease, shared, threads=1)
        results.append((lease.tables["entity"].table.embeddings, shared.values, lease.loss))
    assert np.array_equal(results[0][0], results[1][0])
    assert all(np.array_equal(results[0][1][name], results[1][1][name]) for name in results[0][1])
    assert results[0][2] == results[1][2]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_number_that_is_not_finite_stops_the_lease(poison: float) -> None:
    lease, shared = work()
    lease.tables["entity"].table.embeddings[7, 3] = poison
    with pytest.raises(NotFinite, match="lease l"):
        train(lease, shared, threads=2)


def test_a_lost_lease_stops_the_kernels_before_the_end() -> None:
    lease, shared = work()
    lost = threading.Event()

    def check() -> None:
        if lost.is_set():
            raise LeaseLost(lease="l")

    lost.set()
    with pytest.raises(LeaseLost):
        train(lease, shared, threads=1, check=check)


def test_seeds_depend_on_epoch_buckets_and_group_but_not_on_their_order() -> None:
    lease, _ = work()
    assignment = lease.assignment

    def seed(epoch: int, *buckets: Bucket, group: int = 0) -> int:
        changed = Assignment(
            job=assignment.job,
            lease_id="other",
            epoch=epoch,
            buckets=buckets,
            versions={},
            learning_rate_factor=1.0,
        )
        return lease_seed(changed, group)

    a, b = Bucket(0, 1), Bucket(1, 0)
    assert seed(0, a, b) == seed(0, b, a)
    assert len({seed(0, a, b), seed(1, a, b), seed(0, a), seed(0, a, b, group=1)}) == 4
