"""The story: 2, then 4, then 1 trainers, faults all along, everything stopped and started again in the middle."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphbed.config.load import parse_job
from graphbed.storage import layout
from graphbed.storage.address import open_store
from tests.checker.invariants import Evidence, violations
from tests.checker.lines import read_lines
from tests.e2e.cluster import Cluster, wait_until
from tests.e2e.faults import LEASE_SECONDS, Fault, all_faults, deal
from tests.e2e.job import NAME, WatchedJob
from tests.e2e.targets import up_targets
from tests.fixtures.history import check_history

HEALTHY_SECONDS = 120.0
"""From the end of a fault to a cluster that is healthy again."""
COMMIT_SECONDS = LEASE_SECONDS + 90.0
"""From then to the next committed lease: a lease of somebody who died has to run out, and the next to be trained."""
JOB_SECONDS = 1800.0
"""From the last fault to the end of the job."""
CLEAN_EXIT = 0
CORES, SLOW_CORES = 1.0, 0.15
"""What a trainer gets, and what it gets while the job is ahead of the faults: enough for its health check."""
RESULT = re.compile(r"filtered test MRR ([0-9.]+), Hits@10 ([0-9.]+)")


@dataclass(slots=True)
class Story:
    """What happens, told line by line through `tell`, and the figures of it."""

    cluster: Cluster
    job: WatchedJob
    history: Path
    store_environ: Callable[[Cluster], dict[str, str]]
    store_url: str
    prometheus: str
    draw: random.Random
    tell: Callable[[str], None]
    figures: dict[str, Any] = field(default_factory=dict)
    num_faults: int = 0

    def run(self) -> None:
        """From nothing to the result. Raises AssertionError where the cluster does not do what it promises."""
        faults = all_faults(self.draw)
        self.num_faults = len(faults)
        first, second, third, last = deal(faults, 4)
        self.figures["faults"] = []
        self._start()
        self._strike(first)
        self._scale(4)
        self._strike(second)
        self._stop_and_start(trainers=4)
        self._strike(third)
        self._scale(1)
        self._strike(last)
        self._finish()
        self._check()

    def _start(self) -> None:
        began = time.monotonic()
        self.cluster.up(trainers=2)
        self.figures["up_seconds"] = round(time.monotonic() - began, 1)
        self._wait_for_commit(0, HEALTHY_SECONDS)
        self.figures["up_to_first_commit_seconds"] = round(time.monotonic() - began, 1)
        self.tell(f"up; first lease committed after {self.figures['up_to_first_commit_seconds']} s")
        self._wait_until_healthy()
        self.figures["up_to_healthy_seconds"] = round(time.monotonic() - began, 1)

    def _strike(self, faults: list[Fault]) -> None:
        """One fault after the other, each on a job that runs; after each the cluster heals and the job goes on."""
        for fault in faults:
            self._pace()
            before = self.job.commits
            assert not self.job.ended, f"the job ended before {fault}: it was too short to meet every fault"
            struck = self.draw.choice(self.cluster.containers(fault.service))
            if fault.service == "trainer":
                self.cluster.give_cores(struck, CORES)  # to start again; and what waits for a core cannot be paused
            fault.strike(self.cluster, struck)
            over = time.monotonic()
            self._wait_until_healthy()
            healthy = time.monotonic() - over
            if not self.job.ended:
                self._wait_for_commit(before, COMMIT_SECONDS)
            committed = time.monotonic() - over
            self.figures["faults"].append(
                {"fault": str(fault), "healthy_seconds": round(healthy, 1), "commit_seconds": round(committed, 1)}
            )
            self.tell(f"{fault}: healthy after {healthy:.1f} s, a lease committed after {committed:.1f} s")

    def _scale(self, trainers: int) -> None:
        """Compose adds or removes trainers; those that stay all get leases, those that go end by themselves."""
        since = time.time()
        if trainers < len(self.cluster.containers("trainer")):
            self._give_trainers(CORES)  # to end in time takes some
        self.cluster.up(trainers=trainers)
        self._wait_until_healthy()
        self._pace()
        names = {container.id[:12] for container in self.cluster.containers("trainer")}
        assert len(names) == trainers
        self.job.holders.clear()
        wait_until(
            lambda: self.job.commits >= 0 and names <= self.job.holders,
            seconds=COMMIT_SECONDS,
            what=lambda: f"trainers without a lease: {names - self.job.holders}",
        )
        self._require_clean_exits(since)
        wait_until(
            lambda: up_targets(self.prometheus, "trainer") == trainers,
            seconds=60.0,
            what=lambda: f"Prometheus sees {up_targets(self.prometheus, 'trainer')} of {trainers} trainers",
        )
        self.tell(f"{trainers} trainers: each got a lease, and Prometheus found them")

    def _stop_and_start(self, *, trainers: int) -> None:
        """Everything down in mid-job; the volumes stay."""
        before, since = self.job.commits, time.time()
        self._give_trainers(CORES)
        began = time.monotonic()
        self.cluster.down(volumes=False)
        self.figures["down_seconds"] = round(time.monotonic() - began, 1)
        self._require_clean_exits(since)
        began = time.monotonic()
        self.cluster.up(trainers=trainers)
        self._wait_for_commit(before, COMMIT_SECONDS)
        self.figures["up_again_to_commit_seconds"] = round(time.monotonic() - began, 1)
        self._wait_until_healthy()
        self.tell(
            f"down in {self.figures['down_seconds']} s and up again: the job went on "
            f"after {self.figures['up_again_to_commit_seconds']} s, at {before} leases"
        )

    def _finish(self) -> None:
        self._give_trainers(CORES)
        wait_until(lambda: self.job.ended, seconds=JOB_SECONDS, what=lambda: f"{self.job.commits} leases committed")
        demo = self.cluster.containers("demo")[0]
        assert demo.wait(timeout=300)["StatusCode"] == CLEAN_EXIT, demo.logs().decode()
        found = RESULT.search(demo.logs().decode())
        assert found, demo.logs().decode()
        self.figures |= {"mrr": float(found[1]), "hits_at_10": float(found[2]), "leases": self.job.commits}
        self.tell(f"the job is completed: {found[0]}, {self.job.commits} leases")

    def _check(self) -> None:
        """The commit log, and the history that every process wrote, against what the system promises."""
        store = open_store(self.store_url, self.store_environ(self.cluster))
        config = parse_job(store.get(layout.job_document(NAME)).decode(), source=NAME)
        commits = check_history(store, config)
        evidence = Evidence.of_job(read_lines(self.history), store, config)
        broken = {name: found for name, found in violations(evidence).items() if found}
        assert not broken, broken
        self.figures |= {"commits": len(commits), "history_lines": len(evidence.lines)}
        self.tell(f"{len(commits)} commits, {len(evidence.lines):,} lines of history: every invariant holds")

    def _pace(self) -> None:
        """The job must not end before every fault has struck."""
        ahead = self.job.share > (len(self.figures["faults"]) + 1) / (self.num_faults + 2)
        self._give_trainers(SLOW_CORES if ahead else CORES)

    def _give_trainers(self, cores: float) -> None:
        for trainer in self.cluster.containers("trainer"):
            self.cluster.give_cores(trainer, cores)

    def _wait_until_healthy(self) -> None:
        wait_until(
            lambda: not self.cluster.unhealthy(),
            seconds=HEALTHY_SECONDS,
            what=lambda: ", ".join(self.cluster.unhealthy()),
        )

    def _wait_for_commit(self, before: int, seconds: float) -> None:
        wait_until(
            lambda: self.job.commits > before, seconds=seconds, what=lambda: f"no lease committed beyond {before}"
        )

    def _require_clean_exits(self, since: float) -> None:
        """Whatever of our own was stopped since then ended by itself, with 0."""
        codes = self.cluster.exit_codes(since)
        own = {name: found for name, found in codes.items() if name.startswith(("trainer", "lock", "part", "param"))}
        assert all(code == CLEAN_EXIT for found in own.values() for code in found), own
