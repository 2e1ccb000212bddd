"""The object store is away for several ttl: leases live, nothing new starts, and everything goes on when it is back."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.load import dump_job
from graphbed.errors import GraphbedError
from graphbed.v1 import lockserver_pb2
from services.lockserver import outage
from tests.fault import running
from tests.fixtures.cluster import Cluster
from tests.fixtures.graphs import codex_job, ingest_quietly
from tests.fixtures.history import check_history
from tests.fixtures.processes import ServiceProcess, clean_environment, last_words
from tests.fixtures.proxy import FAIR, Weather
from tests.fixtures.s3 import S3Process

pytestmark = pytest.mark.timeout(300)

TTL_SECONDS = 6.0


def logged(process: ServiceProcess, what: str) -> list[float]:
    """When a process logged this. Seconds since 1970."""
    events = [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]
    return [datetime.fromisoformat(event["ts"]).timestamp() for event in events if event["msg"] == what]


def test_an_outage_of_five_ttl_costs_no_lease_and_starts_nothing(tmp_path: Path) -> None:
    processes: list[ServiceProcess] = []
    with ExitStack() as stack:
        s3 = stack.enter_context(S3Process(tmp_path))
        place = s3.place()
        config = codex_job(place.url, num_epochs=6, num_uniform_negs=600, lease={"ttl_seconds": TTL_SECONDS})
        ingest_quietly(config, place.store())
        environment = {
            **clean_environment(),
            **place.environ,
            "GRAPHBED_STORE": place.url,
            "GRAPHBED_STATE": str(tmp_path / "state"),
        }

        def start(name: str, **more: str) -> ServiceProcess:
            processes.append(stack.enter_context(ServiceProcess(name, tmp_path, {**environment, **more})))
            return processes[-1]

        def wait_until(look: Callable[[], bool], seconds: float) -> None:
            deadline = time.monotonic() + seconds
            while not look():
                assert time.monotonic() < deadline, last_words(processes)
                time.sleep(0.05)

        paramserver, partitionserver = start("paramserver"), start("partitionserver")
        lockserver = start("lockserver", GRAPHBED_PARAMSERVER=paramserver.address)
        locks = stack.enter_context(LockServerClient(lockserver.address))
        locks.submit(dump_job(config))
        trainers = [
            start(
                "trainer",
                GRAPHBED_TRAINER_THREADS="1",
                GRAPHBED_LOCKSERVER=lockserver.address,
                GRAPHBED_PARTITIONSERVERS=partitionserver.address,
                GRAPHBED_PARAMSERVER=paramserver.address,
            )
            for _ in range(2)
        ]

        def buckets_done() -> int:
            return int(locks.get_job(config.job).summary.buckets_done)

        def completed() -> bool:
            try:
                return locks.get_job(config.job).summary.status == lockserver_pb2.JOB_STATUS_COMPLETED
            except GraphbedError:  # the store may still be coming back
                return False

        wait_until(lambda: buckets_done() >= 8, 90)
        killed_at = time.time()
        s3.kill()
        # What was under way ends, or waits.
        time.sleep(2 * TTL_SECONDS)
        held = {lease.lease_id: lease.renewals for lease in locks.get_job(config.job).leases}
        assert held, "no lease was under way"
        # A trainer that knows of no outage gets nothing either.
        assert locks.acquire("newcomer", "r1").wait.reason == lockserver_pb2.WAIT_REASON_STORE_AWAY
        granted, stopped_at = len(logged(lockserver, "lease granted")), buckets_done()
        time.sleep(3 * TTL_SECONDS)
        now = {lease.lease_id: lease.renewals for lease in locks.get_job(config.job).leases}
        assert now.keys() == held.keys()
        assert all(now[lease_id] > renewals for lease_id, renewals in held.items())
        assert (len(logged(lockserver, "lease granted")), buckets_done()) == (granted, stopped_at)
        s3.start()
        wait_until(completed, 120)
        assert [trainer.process.poll() for trainer in trainers] == [None, None]
        expired, lost = logged(lockserver, "lease expired"), [logged(trainer, "lease lost") for trainer in trainers]
        assert not [at for at in (*expired, *lost[0], *lost[1]) if at >= killed_at], last_words(processes)
        check_history(place.store(), config)


def test_a_store_that_accepts_and_says_nothing_is_noticed_within_seconds(tmp_path: Path) -> None:
    with Cluster(tmp_path, s3=True) as cluster:
        config = running.start_job(cluster)
        cluster.proxies["s3"].set(Weather(half_open=True))
        time.sleep(outage.PERIOD_SECONDS + outage.LATE_SECONDS + 1.0)
        proxied = cluster.proxies[cluster.trainers[0]].address
        with LockServerClient(proxied) as locks:
            assert locks.acquire("newcomer", "r1").wait.reason == lockserver_pb2.WAIT_REASON_STORE_AWAY
        before = running.until(lambda: cluster.ask(config.job), "an answer")
        held = {lease.lease_id: lease.renewals for lease in before.leases}
        assert held, "no lease was under way"
        commits = len(running.commits(cluster, config))
        time.sleep(3 * running.TTL_SECONDS)
        after = running.until(lambda: cluster.ask(config.job), "an answer")
        now = {lease.lease_id: lease.renewals for lease in after.leases}
        assert now.keys() == held.keys(), "a lease began or ended"
        assert all(now[lease_id] > renewals for lease_id, renewals in held.items())
        cluster.proxies["s3"].set(FAIR)
        running.wait_for_commits(cluster, config, 5, seconds=60)
        # One that waits for an answer of the silent store is later than what others began since.
        running.until(lambda: held.keys() <= set(running.commits(cluster, config)[commits:]), "a commit of all held")
        cluster.require_clean(config)
