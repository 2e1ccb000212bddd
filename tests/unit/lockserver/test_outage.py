"""While the object store is away no lease begins, those that live go on, and everything continues when it is back."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphbed.config.load import dump_job
from graphbed.errors import StoreDenied, StoreUnavailable
from graphbed.storage import layout
from graphbed.storage.directory import DirectoryStore
from services.lockserver.answers import Granted, Waiting
from services.lockserver.outage import LATE_SECONDS
from services.lockserver.records import Progress
from services.lockserver.scheduler import NoWork
from tests.unit.lockserver.cluster import Cluster, next_hex
from tests.unit.lockserver.examples import make_config, square_schema


class AwayStore(DirectoryStore):
    """A directory that every call finds unreachable, or refused, as long as `error` is set; or that gives no answer."""

    error: Exception | None = None
    silent_about = ""
    """What the keys contain about which it gives no answer, as long as it gives none."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.answers, self.waited_for = threading.Event(), threading.Event()
        self.answers.set()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in ("create", "put", "get", "exists", "size", "list", "sizes", "delete", "delete_many"):
            return self._unless_away(found)
        return found

    def _unless_away(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            if not self.answers.is_set() and self.silent_about in arguments[0]:
                self.waited_for.set()
                self.answers.wait()
            if self.error is not None:
                raise self.error
            return call(*arguments)

        return guarded


@pytest.fixture
def store(tmp_path: Path) -> AwayStore:
    return AwayStore(tmp_path)


@pytest.fixture
def cluster(store: AwayStore) -> Cluster:
    cluster = Cluster(store)
    cluster.submit(square_schema(8), num_groups=8)
    cluster.work(2)
    cluster.outage.tick()
    return cluster


def ask(cluster: Cluster, trainer: str, request_id: str | None = None) -> Granted | Waiting:
    return cluster.coordinator.acquire(trainer=trainer, request_id=request_id or next_hex())


@pytest.mark.parametrize("error", [StoreUnavailable(address="s3"), StoreDenied(address="s3")])
def test_nothing_new_is_granted_until_the_store_is_back(cluster: Cluster, store: AwayStore, error: Exception):
    store.error = error
    cluster.outage.tick()
    for _ in range(3):
        waiting = ask(cluster, "ann")
        assert isinstance(waiting, Waiting) and waiting.reason is NoWork.STORE_AWAY
    assert not cluster.jobs.current("j").leases
    store.error = None
    cluster.outage.tick()
    assert isinstance(ask(cluster, "ann"), Granted)


def test_a_store_that_gives_no_answer_counts_as_away_before_the_question_ends(cluster: Cluster, store: AwayStore):
    store.answers.clear()
    asking = threading.Thread(target=cluster.outage.tick, daemon=True)
    asking.start()
    assert store.waited_for.wait(10)
    assert not cluster.outage.is_on()
    cluster.clock.advance(LATE_SECONDS + 0.1)
    waiting = ask(cluster, "ann")
    assert isinstance(waiting, Waiting) and waiting.reason is NoWork.STORE_AWAY
    store.answers.set()
    asking.join(10)
    assert isinstance(ask(cluster, "ann"), Granted)


def test_no_successor_is_granted_until_the_store_is_back(cluster: Cluster, store: AwayStore):
    granted = ask(cluster, "ann")
    assert isinstance(granted, Granted)

    def succeed() -> Granted | Waiting:
        return cluster.coordinator.succeed(trainer="ann", request_id=next_hex(), parent=granted.lease.lease_id)

    store.error = StoreUnavailable(address="s3")
    cluster.outage.tick()
    waiting = succeed()
    assert isinstance(waiting, Waiting) and waiting.reason is NoWork.STORE_AWAY
    store.error = None
    cluster.outage.tick()
    assert isinstance(succeed(), Granted)


def test_a_lease_that_lives_is_renewed_and_its_grant_told_again(cluster: Cluster, store: AwayStore):
    granted = ask(cluster, "ann", "r1")
    assert isinstance(granted, Granted)
    lease_id = granted.lease.lease_id
    store.error = StoreUnavailable(address="s3")
    for edges in range(1, 40):
        cluster.outage.tick()
        cluster.expiry.tick()
        cluster.clock.advance(1.0)
        cluster.coordinator.renew(trainer="ann", lease_id=lease_id, progress=Progress(edges=edges))
    assert ask(cluster, "ann", "r1") == granted
    store.error = None
    cluster.outage.tick()
    cluster.commit(granted)
    cluster.work_to_the_end()
    cluster.manifests.tick()
    assert cluster.jobs.current("j").header.status.has_ended


@pytest.mark.parametrize("silent_about", ["", layout.job_document("j")])
def test_a_lease_is_renewed_while_a_manifest_or_a_submit_waits_for_the_store(
    cluster: Cluster, store: AwayStore, silent_about: str
):
    document = dump_job(make_config(square_schema(8), num_groups=8, num_epochs=3))
    write = (lambda: cluster.coordinator.submit(document)) if silent_about else (lambda: cluster.manifests.write("j"))
    lease_id = cluster.acquire("ann").lease.lease_id
    store.silent_about = silent_about
    renewed = threading.Event()

    def renew() -> None:
        cluster.coordinator.renew(trainer="ann", lease_id=lease_id, progress=Progress(edges=1))
        renewed.set()

    store.answers.clear()
    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    assert store.waited_for.wait(10)
    threading.Thread(target=renew, daemon=True).start()
    in_time = renewed.wait(5)
    store.answers.set()
    writing.join(10)
    assert in_time
    assert cluster.jobs.current("j").header.manifest_sequence == 2


def test_a_trainer_that_asks_anew_meanwhile_holds_nothing_any_more(cluster: Cluster, store: AwayStore):
    assert isinstance(ask(cluster, "ann"), Granted)
    store.error = StoreUnavailable(address="s3")
    cluster.outage.tick()
    assert isinstance(ask(cluster, "ann"), Waiting)
    assert not cluster.jobs.current("j").leases
