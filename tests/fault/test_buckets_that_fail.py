"""Buckets that no trainer can train, with real trainers: they are skipped and recorded, the rest goes on."""

import lzma
from pathlib import Path
from typing import Any

import pytest

from graphbed.graph.partition import Bucket
from graphbed.storage.manifest import require_newest
from tests.fault.running import start_job, until
from tests.fixtures.cluster import Cluster
from tests.fixtures.graphs import codex_job

pytestmark = pytest.mark.timeout(180)

FOUR = {"entities": {"entity": {"num_partitions": 4}}, "num_groups": 4, "num_epochs": 2}
DEADLY = Bucket(0, 0)
TOO_HEAVY = 3e38
"""The largest weights that single precision holds: one such edge, and the loss is infinite."""


def edges_with_one_too_heavy(folder: Path, splits: Any) -> dict[str, Any]:
    """The splits of a job, with a weight for each training edge."""
    lines = lzma.decompress(Path(splits["train"]["files"][0]).read_bytes()).decode().splitlines()
    path = folder / "train.tsv"
    weights = [TOO_HEAVY, *[1.0] * (len(lines) - 1)]
    path.write_text("".join(f"{line}\t{weight}\n" for line, weight in zip(lines, weights, strict=True)))
    return {**splits, "train": {"files": [str(path)], "columns": ["lhs", "relation", "rhs", "weight"]}}


def test_a_bucket_whose_loss_is_infinite_is_skipped_in_each_epoch_and_the_rest_goes_on(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        splits = codex_job(cluster.store_url).model_dump(mode="json")["edges"]
        config = start_job(cluster, **FOUR, edges=edges_with_one_too_heavy(tmp_path, splits))
        cluster.wait_until_completed(config.job, 60)
        (skipped,) = require_newest(cluster.store, config.job).skipped
        assert skipped.epochs == (0, 1)
        assert "finite" in skipped.reason
        assert all(cluster.lives(name) for name in cluster.trainers)
        cluster.require_clean(config)


def test_a_bucket_that_kills_each_trainer_that_holds_it_is_skipped_and_the_rest_goes_on(tmp_path: Path) -> None:
    deadly = {name: {"ODD_DEADLY": f"{DEADLY.lhs},{DEADLY.rhs}"} for name in ("trainer-0", "trainer-1")}
    lease = {"ttl_seconds": 3.0, "max_failures": 1}
    with Cluster(tmp_path, environment=deadly) as cluster:
        config = start_job(cluster, first_commits=0, **{**FOUR, "num_epochs": 1}, lease=lease)
        deaths = 0

        def is_over() -> bool:
            """Whether the job has ended; starts again who died."""
            nonlocal deaths
            deaths += cluster.restart_dead()
            return cluster.completed(config.job)

        until(is_over, "the end of the job", seconds=120)
        skipped = {entry.bucket: entry.epochs for entry in require_newest(cluster.store, config.job).skipped}
        assert skipped[DEADLY] == (0,)
        # Two silent ends make it suspicious; then it is tried alone, and one failure is enough.
        assert deaths >= 3
        cluster.require_clean(config)
