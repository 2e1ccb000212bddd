"""Deterministic jobs: one lease after another, in an order that nobody's death or name can change."""

from itertools import count
from pathlib import Path

import pytest

from graphbed.graph.partition import Bucket
from graphbed.storage.directory import DirectoryStore
from services.lockserver.answers import Granted, Waiting
from services.lockserver.records import Progress
from services.lockserver.scheduler import NoWork
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import square_schema

Order = list[tuple[int, tuple[Bucket, ...]]]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(DirectoryStore(tmp_path / "store"))


def ask(cluster: Cluster, trainer: str) -> Granted | Waiting:
    return cluster.coordinator.acquire(trainer=trainer, request_id=next_hex())


def test_leases_follow_one_another(cluster: Cluster) -> None:
    cluster.submit(square_schema(8), deterministic=True)
    granted = cluster.acquire("ann")
    refused = ask(cluster, "bob")
    assert isinstance(refused, Waiting)
    assert refused.reason is NoWork.PARTITIONS_BUSY
    cluster.commit(granted)
    cluster.acquire("bob")


def worked(cluster: Cluster, *, restarts: bool, deaths: int = 0) -> Order:
    """The leases in the order of their commits; with `restarts`, each by a new trainer that dies so often first."""
    cluster.submit(square_schema(8), deterministic=True)
    order: Order = []
    names = (f"trainer-{n}" if restarts else "ann" for n in count())
    for name in names:
        answer = ask(cluster, name)
        if isinstance(answer, Waiting):
            return order
        for _ in range(deaths):  # it forgets its lease and asks anew
            assert isinstance(answer, Granted)
            answer = ask(cluster, name)
        assert isinstance(answer, Granted)
        cluster.commit(answer)
        order.append((answer.lease.epoch, answer.lease.buckets))
    raise AssertionError("the names do not end")


def test_neither_who_asks_nor_who_died_decides_the_order(tmp_path: Path) -> None:
    calm = worked(Cluster(DirectoryStore(tmp_path / "calm")), restarts=False)
    assert len(calm) > 8
    assert worked(Cluster(DirectoryStore(tmp_path / "restarts")), restarts=True) == calm
    assert worked(Cluster(DirectoryStore(tmp_path / "deaths")), restarts=True, deaths=3) == calm


def test_a_lease_begins_when_the_parameters_are_those_of_the_commits_and_of_nothing_else(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), deterministic=True, relations=WITH_OPERATOR)
    assert isinstance(ask(cluster, "ann"), Waiting)
    for _ in range(3):
        cluster.settler.tick()
        assert isinstance(ask(cluster, "ann"), Waiting), "a delta of a dead lease may still be served"
        cluster.settler.tick()
        cluster.commit(cluster.acquire("ann"))
        assert isinstance(ask(cluster, "ann"), Waiting)


def test_parameters_that_could_not_be_settled_are_not_exact(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), deterministic=True, relations=WITH_OPERATOR)
    cluster.settler.tick()
    cluster.parameters.reachable = False
    cluster.settler.tick()
    cluster.parameters.reachable = True
    assert isinstance(ask(cluster, "ann"), Waiting)


def test_a_trainer_that_forgot_its_lease_loses_it_while_the_parameters_are_not_exact(cluster: Cluster) -> None:
    cluster.submit(square_schema(4), deterministic=True, relations=WITH_OPERATOR)
    cluster.settler.tick()
    cluster.settler.tick()
    granted = cluster.acquire("ann")
    cluster.coordinator.renew(trainer="ann", lease_id=granted.lease.lease_id, progress=Progress())
    assert isinstance(ask(cluster, "ann"), Waiting)
    assert not cluster.jobs.current("j").leases
