"""Chaos: a job of many short leases on real processes, under a seeded schedule of faults; a checker judges the history.

    sudo .venv/bin/python benchmarks/chaos.py --seed 1 --faults 1000

Two lock servers on one Redis, two partition servers and a parameter server on one S3 server, and four trainers, each
server behind a proxy. Most faults wait for an open operation of a drawn kind, whose process is held still until the
fault has struck. What is drawn follows from the seed; what each fault meets does not. Disks that get full are small
file systems, which only root can mount. Writes results/chaos-<seed>.json, and ends with 1 if an invariant is broken or
the job does not end.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.faults import Fault, FaultBox, disk_of, small_disk
from graphbed import history
from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.manifest import manifest_sequences
from tests.checker.invariants import Evidence, violations
from tests.fixtures.cluster import Cluster, OpenOperations, wait_for
from tests.fixtures.graphs import codex_job, ingest_quietly

TTL_SECONDS = 5.0
EPOCHS_AHEAD = 8
"""The job is given more epochs while faults are left, so that it outlives them."""
AIMED = 0.85
"""Share of faults that wait for an open operation of a kind that is drawn."""
TARGETS = ("acquire", "store", "commit", "manifest", "collect")
AIM_SECONDS = 1.0
MOST_AT_ONCE = 4
PAUSE_SECONDS = (0.0, 0.3)
"""Between two strikes, drawn."""
QUIET_SECONDS = 900.0
"""Without faults, a job that has not ended after this long never ends."""


def job(store: str, *, epochs: int) -> JobConfig:
    return codex_job(
        store,
        num_epochs=epochs,
        entities={"entity": {"num_partitions": 8}},
        num_groups=8,
        num_uniform_negs=600,
        lease={"ttl_seconds": TTL_SECONDS},
        checkpoint={"interval_seconds": 2.0},
    )


class Chaos:
    """Strikes one fault after another, some at once, and ends each in its time."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._chance = random.Random(seed)
        self._box = FaultBox(cluster, self._chance, ttl_seconds=TTL_SECONDS)
        self._open = OpenOperations(cluster.history)
        self._running: list[tuple[float, Fault]] = []
        self.died = 0
        """Processes that ended by themselves and were started again."""

    def strike(self) -> bool:
        """One more fault, once there is room for it; False: there was no victim."""
        while len(self._running) >= MOST_AT_ONCE:
            self._rest(0.05)
        fault = self._box.draw({fault.victim for _, fault in self._running})
        if fault is None:
            self._rest(0.1)
            return False
        target = self._chance.choice(TARGETS) if self._chance.random() < AIMED else ""
        holder = self._hold_open(target)
        history.record("fault", kind=fault.kind, victim=fault.victim)
        fault.strike()
        if holder is not None and not (holder == fault.victim and fault.kind.startswith("freeze")):
            self._cluster.thaw(holder)
        self._running.append((time.monotonic() + fault.seconds, fault))
        self._rest(self._chance.uniform(*PAUSE_SECONDS))
        return True

    def _hold_open(self, target: str) -> str | None:
        """Wait for an operation of that kind and stop its process in the middle of it; None if none was caught."""
        busy = {fault.victim for _, fault in self._running}
        deadline = time.monotonic() + (AIM_SECONDS if target else 0.0)
        while time.monotonic() < deadline:
            for line in self._open.look().get(target, []):
                name = self._cluster.name_of(line.process)
                if name in busy or not self._cluster.writes(line.process):
                    continue
                self._cluster.freeze(name)
                if line in self._open.look().get(target, []):
                    return name
                self._cluster.thaw(name)
            time.sleep(0.005)
        return None

    def end(self) -> None:
        """Let every fault come to its end, and start what died."""
        while self._running:
            self._rest(0.1)
        self.tend()

    def tend(self) -> bool:
        """Start what died, as a supervisor does."""
        self.died += self._cluster.restart_dead()
        return True

    def _rest(self, seconds: float) -> None:
        time.sleep(seconds)
        now = time.monotonic()
        for entry in [entry for entry in self._running if entry[0] <= now]:
            entry[1].heal()
            self._running.remove(entry)
        self.died += self._cluster.restart_dead({fault.victim for _, fault in self._running})


def run(seed: int, faults: int, folder: Path) -> dict[str, Any]:
    with ExitStack() as stack:
        disks = {name: disk_of(folder, name) for name in ("redis", "partitionserver-0", "partitionserver-1")}
        for path in disks.values():
            stack.enter_context(small_disk(path))
        cached = {
            name: {"GRAPHBED_DISK_CACHE_PATH": str(path), "GRAPHBED_MEMORY_CACHE_BYTES": "100000"}
            for name, path in disks.items()
            if name != "redis"
        }
        cluster = Cluster(folder, trainers=4, lockservers=2, partitionservers=2, s3=True, environment=cached)
        stack.enter_context(cluster)
        config = job(cluster.store_url, epochs=EPOCHS_AHEAD)
        ingest_quietly(config, cluster.store)
        cluster.submit(config)
        assert wait_for(lambda: _buckets_done(cluster, config) > 0, QUIET_SECONDS), "nobody begins to work"
        history.configure(str(cluster.history), "driver")
        stack.callback(history.configure, None, "driver")
        chaos, started, done = Chaos(cluster, seed), time.monotonic(), 0
        while done < faults:
            done += chaos.strike()
            if done % 10 == 0:
                config = _extended(cluster, config)
            if done % 20 == 0:
                print(f"{done} faults, {time.monotonic() - started:.0f} s, {config.num_epochs} epochs", flush=True)
        chaos.end()
        history.record("quiet")
        ended = wait_for(lambda: chaos.tend() and cluster.completed(config.job), QUIET_SECONDS)
        # What a submit was answered may have been lost; what it wrote counts.
        told = cluster.store.get(layout.job_document(config.job)).decode()
        evidence = cluster.evidence(parse_job(told, source=config.job))
        broken = {name: found[:20] for name, found in violations(evidence).items() if found}
        return {
            "seed": seed,
            "revision": _revision(),
            "faults": done,
            "ended": ended,
            "broken": broken,
            **_told(cluster, evidence),
            "died_by_themselves": chaos.died,
            "seconds": round(time.monotonic() - started, 1),
            "commits": len(commit_log(cluster.store, config.job)),
            "manifests": len(manifest_sequences(cluster.store, config.job)),
        }


def _buckets_done(cluster: Cluster, config: JobConfig) -> int:
    reply = cluster.ask(config.job)
    return int(reply.summary.buckets_done) if reply else 0


def _extended(cluster: Cluster, config: JobConfig) -> JobConfig:
    """The job with more epochs, if it is near its end and a lock server could be told."""
    reply = cluster.ask(config.job)
    if reply is None or reply.summary.epoch + EPOCHS_AHEAD // 2 < config.num_epochs:
        return config
    longer = job(cluster.store_url, epochs=config.num_epochs + EPOCHS_AHEAD)
    return longer if cluster.takes(longer) else config


def _told(cluster: Cluster, evidence: Evidence) -> dict[str, Any]:
    """What the history says of the run: counts of faults, of their victims, and of the operations they met."""
    faults = [line for line in evidence.lines if line.event == "fault"]
    struck: dict[str, list[float]] = {}
    for line in faults:
        struck.setdefault(line.facts["victim"], []).append(line.at)
    meetings: dict[str, list[tuple[float, float]]] = {name: [] for name in TARGETS}
    for operation in evidence.operations:
        if operation.name in meetings:
            begun = operation.begun.at
            # Without an end it was open until its process was struck.
            blows = struck.get(cluster.name_of(operation.begun.process), [])
            end = operation.ended.at if operation.ended else min((at for at in blows if at >= begun), default=begun)
            meetings[operation.name].append((begun, end))
    met = {name: {line.at for line in faults if _inside(line.at, spans)} for name, spans in meetings.items()}
    granted = {lease["lease"] for step in evidence.steps for lease in step.told("granted")}
    committed = {lease for step in evidence.steps for lease in step.told("committed")}
    return {
        "kinds": dict(sorted(Counter(line.facts["kind"] for line in faults).items())),
        "victims": dict(sorted(Counter(line.facts["victim"].partition("-")[0] for line in faults).items())),
        "met_open": {name: len(each) for name, each in met.items()},
        "met_any_open": len(set().union(*met.values())),
        "leases_granted": len(granted),
        "leases_void": len(granted - committed),
        "states_begun": sum(step.begins for step in evidence.steps),
        "generations": len(cluster.store.list(layout.generations(evidence.job))),
    }


def _inside(at: float, spans: list[tuple[float, float]]) -> bool:
    return any(begun <= at <= end for begun, end in spans)


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="keep all logs and histories here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = run(arguments.seed, arguments.faults, arguments.folder or Path(temporary))
    print(json.dumps(result, indent=1))
    out = Path(__file__).parent / "results" / f"chaos-{arguments.seed}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(0 if result["ended"] and not result["broken"] else 1)


if __name__ == "__main__":
    main()
