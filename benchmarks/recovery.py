"""How long until work goes on: after the death of a trainer, after SIGTERM, after a full stop that leaves the objects.

    .venv/bin/python benchmarks/recovery.py --times 10

One lease at a time, two trainers, all of them real processes. Each time the trainer that holds the lease is killed, or
told to stop, and it is measured until there is another lease. Then everything is killed at once and Redis starts empty:
it is measured from the start of the processes, which is most of it, until the first grant; what the newest manifest
told must be there. Writes results/recovery.json.
"""

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from graphbed.config.job import JobConfig
from graphbed.storage.manifest import require_newest
from graphbed.v1 import lockserver_pb2
from tests.fault.running import start_job, until, wait_for_commits
from tests.fixtures.cluster import Cluster

TTL_SECONDS = 5.0
ONE_LEASE = {
    "entities": {"entity": {"num_partitions": 2}},
    "num_groups": 2,
    # Long enough to be seen in training: trainers tell how far they are with every renewal.
    "dimension": 256,
    "num_uniform_negs": 2_000,
    "num_epochs": 1_000,
    "lease": {"ttl_seconds": TTL_SECONDS},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True, cwd=Path(__file__).parent).strip()
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        config = start_job(cluster, **ONE_LEASE)
        killed = [granted_again(cluster, config, signal.SIGKILL, draw) - TTL_SECONDS for _ in range(options.times)]
        stopped = [granted_again(cluster, config, signal.SIGTERM, draw) for _ in range(options.times)]
        wiped = [resumed(cluster, config, draw) for _ in range(options.times)]
        cluster.require_clean(config)
    result = {
        "commit": commit,
        "command": f"python benchmarks/recovery.py --times {options.times}",
        "ttl_seconds": TTL_SECONDS,
        "killed_until_granted_beyond_ttl": told(killed),
        "terminated_until_granted": told(stopped),
        "everything_started_on_an_empty_redis_until_granted": told(wiped),
    }
    print(json.dumps(result, indent=1))
    (Path(__file__).parent / "results" / "recovery.json").write_text(json.dumps(result, indent=1) + "\n")


def told(seconds: list[float]) -> dict[str, object]:
    """Median and extremes, and each figure."""
    return {
        "median": round(statistics.median(seconds), 2),
        "least": round(min(seconds), 2),
        "most": round(max(seconds), 2),
        "seconds": [round(each, 2) for each in seconds],
    }


def granted_again(cluster: Cluster, config: JobConfig, number: signal.Signals, draw: random.Random) -> float:
    """Send the signal to a trainer in the middle of its lease; seconds until another trainer has one."""
    until(lambda: live(cluster, config), "a lease in training")
    time.sleep(draw.uniform(0.0, 2.0))
    lease = until(lambda: live(cluster, config), "a lease in training")
    victim = cluster.name_of(lease.trainer_id)
    begin = time.monotonic()
    cluster.send(victim, number)

    def another() -> lockserver_pb2.LeaseInfo | None:
        found = live(cluster, config, edges=0)
        return found if found and found.trainer_id != lease.trainer_id else None

    until(another, "another grant")
    seconds = time.monotonic() - begin
    cluster.restart(victim)
    # Until it asks for work, the other one is the only one.
    wait_for_commits(cluster, config, 3)
    return seconds


def resumed(cluster: Cluster, config: JobConfig, draw: random.Random) -> float:
    """Kill everything, lose the state, start everything; seconds until a lease is granted."""
    until(lambda: live(cluster, config), "a lease in training")
    time.sleep(draw.uniform(0.0, 1.0))
    everybody = [*cluster.trainers, *cluster.servers]
    for name in everybody:
        cluster.end(name)
    cluster.redis.kill()
    cluster.redis.forget()
    told = require_newest(cluster.store, config.job)
    cluster.redis.start()
    begin = time.monotonic()
    for name in [*cluster.servers, *cluster.trainers]:
        cluster.start(name)
    until(lambda: live(cluster, config, edges=0), "a grant", seconds=120)
    seconds = time.monotonic() - begin
    now = require_newest(cluster.store, config.job)
    assert now.sequence > told.sequence and now.completed_epochs >= told.completed_epochs
    return seconds


def live(cluster: Cluster, config: JobConfig, *, edges: int = 1) -> lockserver_pb2.LeaseInfo | None:
    """The lease that lives, if it has come as far as that."""
    reply = cluster.ask(config.job)
    leases = reply.leases if reply else ()
    return next((lease for lease in leases if lease.progress.edges >= edges), None)


if __name__ == "__main__":
    main()
