"""Real processes whose clocks jump, run fast or slow, or that speak another version of the protocol."""

import itertools
from pathlib import Path

import pytest

from graphbed.storage.generation import newest_generation
from graphbed.storage.manifest import manifest_sequences, read_manifest
from tests.fault.running import changes, commits, operations_of, start_job, until, wait_for_commits
from tests.fixtures.cluster import Cluster

pytestmark = pytest.mark.timeout(180)

DAY = 86_400.0
SLOW_LEASES = {
    "entities": {"entity": {"num_partitions": 4}},
    "num_groups": 4,
    "dimension": 128,
    "num_uniform_negs": 8_000,
    "lease": {"ttl_seconds": 4.0},
}
"""Some seconds each, so that a renewal that comes late meets them."""


def test_wall_clocks_that_jump_by_a_day_decide_nothing(tmp_path: Path) -> None:
    processes = ("lockserver-0", "partitionserver-0", "paramserver", "trainer-0", "trainer-1")
    with Cluster(tmp_path, environment={name: {"ODD_JUMP_SECONDS": str(DAY)} for name in processes}) as cluster:
        config = start_job(cluster)
        sequences = until(lambda: manifest_sequences(cluster.store, config.job)[5:], "a sixth manifest")
        wait_for_commits(cluster, config, 3)
        written = [read_manifest(cluster.store, config.job, n)[0].written_at for n in range(1, sequences[0] + 1)]
        assert any(later < earlier - DAY / 2 for earlier, later in itertools.pairwise(written))
        made = changes(cluster, config)
        ended, committed = (
            {lease for line in made for lease in line.facts.get(fact, [])} for fact in ("ended", "committed")
        )
        assert ended == committed, "a lease was lost"
        assert newest_generation(cluster.store, config.job) == 1
        cluster.require_clean(config)


def test_a_fast_lock_server_and_a_slow_trainer_cost_that_trainers_leases_and_nothing_else(tmp_path: Path) -> None:
    """The server counts ttl in half of it, and the trainer renews after two thirds: too late for any long lease."""
    odd = {"lockserver-0": {"ODD_PACE": "2"}, "trainer-0": {"ODD_PACE": "0.5"}}
    with Cluster(tmp_path, environment=odd) as cluster:
        config = start_job(cluster, **SLOW_LEASES)

        def lost() -> set[str]:
            """Leases of the slow trainer that others were given since."""
            ended = {lease for line in changes(cluster, config) for lease in line.facts.get("ended", [])}
            granted = {o.facts["lease"] for o in operations_of(cluster, config, "acquire", "trainer-0") if o.succeeded}
            return (granted & ended) - set(commits(cluster, config))

        until(lost, "a lease that the slow trainer loses")
        wait_for_commits(cluster, config, 2)
        assert cluster.lives("trainer-0")
        cluster.require_clean(config)


def test_a_trainer_of_another_protocol_is_refused_with_one_line_and_changes_nothing(tmp_path: Path) -> None:
    with Cluster(tmp_path, environment={"trainer-1": {"ODD_PROTOCOL": "2"}}) as cluster:
        config = start_job(cluster)
        until(lambda: not cluster.lives("trainer-1"), "the end of the trainer of another protocol")
        assert cluster.end("trainer-1") == 2
        last = cluster.log("trainer-1").splitlines()[-1]
        assert last.startswith("graphbed-trainer: ")
        assert last.endswith("speaks protocol 1, the caller protocol 2; run the same version of Graphbed on both.")
        assert "Traceback" not in cluster.log("trainer-1")
        assert not any(o.succeeded for o in operations_of(cluster, config, "acquire", "trainer-1"))
        wait_for_commits(cluster, config, 2)
        cluster.require_clean(config)
