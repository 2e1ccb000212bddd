"""SIGTERM to a trainer in each phase of a lease: it commits or hands back within its grace, nothing waits for a ttl."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.load import dump_job
from graphbed.storage.address import open_store
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.processes import ServiceProcess, clean_environment, last_words
from tests.fixtures.proxy import FAIR, Proxy, Weather

pytestmark = pytest.mark.timeout(240)

GRACE_SECONDS = 6.0
HALF_OPEN = Weather(half_open=True)

# Two partitions in two groups: there is one lease at a time. Its ttl is longer than a whole test may wait for a grant.
ONE_LEASE = {
    "entities": {"entity": {"num_partitions": 2}},
    "dimension": 128,
    "num_uniform_negs": 1500,
    "num_epochs": 50,
    "lease": {"ttl_seconds": 60.0},
}


def sample(process: ServiceProcess, name: str, **labels: str) -> float:
    """The value of a metric of a process now; 0 if it has none yet."""
    with urllib.request.urlopen(f"http://{process.metrics_address}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    found = (each.value for family in families for each in family.samples if (each.name, each.labels) == (name, labels))
    return next(found, 0.0)


def seconds_in(trainer: ServiceProcess, phase: str) -> float:
    return sample(trainer, "graphbed_trainer_phase_seconds_total", phase=phase)


@dataclass(kw_only=True)
class Scene:
    """A trainer that holds the only lease, and one that waits for it."""

    lockserver: ServiceProcess
    victim: ServiceProcess
    processes: list[ServiceProcess]
    proxies: dict[str, Proxy]
    locks: LockServerClient
    job: str
    lease: str = ""

    def wait_until(self, look: Callable[[], bool], *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, last_words(self.processes)
            time.sleep(0.02)

    def wait_in(self, phase: str, seconds: float = 0.3) -> None:
        """Until the victim has been in `phase` for some time; only the lease in hand ever was."""
        self.wait_until(lambda: seconds_in(self.victim, phase) >= seconds)

    def ended(self) -> bool:
        return self.victim.process.poll() is not None

    def happened(self, what: str, trainer: str) -> float:
        """When the lock server first logged this of the trainer; seconds since 1970, 0 if it did not."""
        for line in self.lockserver.log().splitlines():
            event = json.loads(line)
            if (event["msg"], event.get("trainer")) == (what, trainer):
                return datetime.fromisoformat(event["ts"]).timestamp()
        return 0.0


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    config = codex_job(store_url(folder), **ONE_LEASE)
    ingest_quietly(config, open_store(config.store, {}))
    environment = {
        **clean_environment(),
        "GRAPHBED_STORE": config.store,
        "GRAPHBED_STATE": str(folder / "state"),
        "GRAPHBED_GRACE_SECONDS": str(GRACE_SECONDS),
        "GRAPHBED_TRAINER_THREADS": "1",
    }
    processes: list[ServiceProcess] = []
    with ExitStack() as stack:

        def start(name: str, **more: str) -> ServiceProcess:
            processes.append(stack.enter_context(ServiceProcess(name, folder, {**environment, **more})))
            return processes[-1]

        servers = {name: start(name) for name in ("paramserver", "partitionserver")}
        servers["lockserver"] = start("lockserver", GRAPHBED_PARAMSERVER=servers["paramserver"].address)
        proxies = {name: stack.enter_context(Proxy(server.address)) for name, server in servers.items()}
        locks = stack.enter_context(LockServerClient(servers["lockserver"].address))
        heir = {
            "GRAPHBED_TRAINER_ID": "heir",
            "GRAPHBED_LOCKSERVER": servers["lockserver"].address,
            "GRAPHBED_PARTITIONSERVERS": servers["partitionserver"].address,
            "GRAPHBED_PARAMSERVER": servers["paramserver"].address,
        }
        victim = {
            "GRAPHBED_TRAINER_ID": "victim",
            "GRAPHBED_LOCKSERVER": proxies["lockserver"].address,
            "GRAPHBED_PARTITIONSERVERS": proxies["partitionserver"].address,
            "GRAPHBED_PARAMSERVER": proxies["paramserver"].address,
        }
        # It begins in an endless fetch, so that the heir is there before it comes to anything else.
        proxies["paramserver"].set(HALF_OPEN)
        found = Scene(
            lockserver=servers["lockserver"],
            victim=start("trainer", **victim),
            processes=processes,
            proxies=proxies,
            locks=locks,
            job=config.job,
        )
        locks.submit(dump_job(config))
        found.wait_until(lambda: found.happened("lease granted", "victim") > 0)
        found.lease = locks.get_job(config.job).leases[0].lease_id

        def refusals() -> float:
            return sample(servers["lockserver"], "graphbed_lockserver_grants_total", outcome="wait")

        before = refusals()
        start("trainer", **heir)
        found.wait_until(lambda: refusals() > before)
        yield found


def in_fetch(scene: Scene) -> None:
    """It waits for the parameter server, which does not answer."""


def in_training(scene: Scene) -> None:
    scene.proxies["paramserver"].set(FAIR)
    scene.wait_in("train")


def in_store(scene: Scene) -> None:
    in_training(scene)
    scene.proxies["partitionserver"].set(HALF_OPEN)
    scene.wait_in("store")


def in_commit(scene: Scene) -> None:
    in_store(scene)
    scene.proxies["lockserver"].set(HALF_OPEN)
    scene.proxies["partitionserver"].set(FAIR)
    scene.wait_in("commit")


@pytest.mark.parametrize("reach", [in_fetch, in_training])
def test_work_that_is_not_trained_is_handed_back_at_once(tmp_path: Path, reach: Callable[[Scene], None]) -> None:
    with scene(tmp_path) as found:
        reach(found)
        told_at = time.time()
        found.victim.process.send_signal(signal.SIGTERM)
        found.wait_until(lambda: found.happened("lease granted", "heir") > 0)
        assert found.happened("lease granted", "heir") - told_at <= 1.0
        assert found.victim.process.wait(60) == 0
        assert "lease expired" not in found.lockserver.log()


def test_work_that_cannot_be_stored_in_time_is_handed_back_before_the_grace_is_over(tmp_path: Path) -> None:
    with scene(tmp_path) as found:
        in_store(found)
        told_at = time.time()
        found.victim.process.send_signal(signal.SIGTERM)
        found.wait_until(lambda: found.happened("lease granted", "heir") > 0)
        released_at = found.happened("lease released", "victim")
        assert GRACE_SECONDS / 2 < released_at - told_at < GRACE_SECONDS
        assert found.happened("lease granted", "heir") - released_at <= 1.0
        assert found.victim.process.wait(60) == 0
        assert "lease expired" not in found.lockserver.log()


@pytest.mark.parametrize(("reach", "away"), [(in_store, "partitionserver"), (in_commit, "lockserver")])
def test_work_that_is_trained_is_committed_within_the_grace(
    tmp_path: Path, reach: Callable[[Scene], None], away: str
) -> None:
    with scene(tmp_path) as found:
        reach(found)
        found.victim.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        # Impatience changes nothing.
        found.victim.process.send_signal(signal.SIGTERM)
        found.victim.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert not found.ended()
        found.proxies[away].set(FAIR)
        assert found.victim.process.wait(60) == 0
        committed_at = found.happened("lease committed", "victim")
        assert committed_at > 0
        found.wait_until(lambda: found.happened("lease granted", "heir") > 0)
        assert found.happened("lease granted", "heir") - committed_at <= 1.0
        assert found.happened("lease released", "victim") == 0
        assert "lease expired" not in found.lockserver.log()
