"""What a long outage of the object store costs: refused for half of the time, then silent, while a job runs.

    .venv/bin/python benchmarks/outage.py --minutes 20

Two lock servers on one Redis, two partition servers, a parameter server and two trainers, all of them real processes; a
proxy before the S3 server refuses every connection, then accepts all and passes nothing. From the history of the
processes it is checked that no lease ended but by its commit and that none was granted once the outage was noticed;
that the job ends when the store is back; and that no invariant is broken. Writes results/outage.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from graphbed.storage.manifest import require_newest
from services.lockserver.outage import LATE_SECONDS, PERIOD_SECONDS
from tests.checker.lines import Line
from tests.fault.running import changes, start_job
from tests.fixtures.cluster import Cluster
from tests.fixtures.history import check_history
from tests.fixtures.proxy import FAIR, Weather

NOTICE_SECONDS = PERIOD_SECONDS + LATE_SECONDS + 1.0
"""When a lock server must have noticed, whatever kind of outage it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When the store went, when it fell silent, and when it was back. Monotonic seconds of this machine."""

    away: float
    silent: float
    back: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--ttl", type=float, default=5.0, help="seconds; more on a machine that others keep busy")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "outage.json")
    options = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True, cwd=Path(__file__).parent).strip()
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(Path(folder), trainers=2, lockservers=2, partitionservers=2, s3=True) as cluster,
    ):
        config = start_job(cluster, num_epochs=6, lease={"ttl_seconds": options.ttl})
        generation = require_newest(cluster.store, config.job).generation
        times = go_through(cluster, options.minutes * 60.0)
        cluster.wait_until_completed(config.job, 600.0)
        dead = [name for name in (*cluster.trainers, *cluster.servers) if not cluster.lives(name)]
        assert not dead, f"{dead} ended"
        cluster.require_clean(config)
        check_history(cluster.store, config)
        assert require_newest(cluster.store, config.job).generation == generation, "a generation was begun"
        result = {
            "commit": commit,
            "command": f"python benchmarks/outage.py --minutes {options.minutes:g} --ttl {options.ttl:g}",
            "ttl_seconds": options.ttl,
            "seconds_refused": round(times.silent - times.away, 1),
            "seconds_silent": round(times.back - times.silent, 1),
            **judged(changes(cluster, config), times),
        }
    print(json.dumps(result, indent=1))
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def go_through(cluster: Cluster, seconds: float) -> Times:
    """Take the store away for so long, and bring it back."""
    begun = [time.monotonic()]
    for weather in (Weather(refused=True), Weather(half_open=True), FAIR):
        cluster.proxies["s3"].set(weather)
        if weather is not FAIR:
            time.sleep(seconds / 2)
        begun.append(time.monotonic())
    return Times(away=begun[0], silent=begun[1], back=begun[2])


def judged(made: list[Line], times: Times) -> dict[str, Any]:
    """What the changes of the job's state tell. Raises AssertionError where a lease ended badly, or began."""
    meanwhile = [line for line in made if times.away <= line.at < times.back]
    committed = named(meanwhile, "committed")
    void = set(named(meanwhile, "ended")) - set(committed)
    assert not void, f"{len(void)} leases ended without a commit"
    granted = [line.at - times.away for line in meanwhile if line.facts.get("granted")]
    last = max(granted, default=0.0)
    assert last < NOTICE_SECONDS, f"a lease was granted {last} seconds after the store had gone"
    alive = live_at(made, times.back)
    assert alive, "no lease was under way"
    afterwards = [line for line in made if line.at >= times.back]
    kept = [lease for lease in alive if lease in named(afterwards, "committed")]
    assert kept == alive, "a lease that lived through it was not committed"
    renewed = named(meanwhile, "renewed")
    return {
        "leases_that_lived_through_it": len(alive),
        "renewals_of_each_at_least": min(renewed.count(lease) for lease in alive),
        "leases_void": len(void),
        "last_grant_after_it_began_seconds": round(last, 2),
        "commits_before_it_was_felt": len(committed),
        "seconds_from_return_to_commit": round(first(afterwards, "committed") - times.back, 2),
        "seconds_from_return_to_grant": round(first(afterwards, "granted") - times.back, 2),
        "commits": len(named(made, "committed")),
        "invariants_broken": 0,
    }


def named(lines: list[Line], fact: str) -> list[str]:
    """All that the lines tell under this name."""
    return [lease for line in lines for lease in line.facts.get(fact, [])]


def live_at(made: list[Line], moment: float) -> list[str]:
    """The leases that had been granted and had not ended."""
    before = [line for line in made if line.at < moment]
    ended = set(named(before, "ended"))
    return [lease["lease"] for line in before for lease in line.facts.get("granted", []) if lease["lease"] not in ended]


def first(lines: list[Line], fact: str) -> float:
    """When this was told first. Monotonic seconds."""
    return next(line.at for line in lines if line.facts.get(fact))


if __name__ == "__main__":
    main()
