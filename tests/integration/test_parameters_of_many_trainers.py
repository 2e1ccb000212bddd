"""Relation parameters of one and of four trainers: the sums of squares are shared, so the step sizes are too."""

from pathlib import Path

import numpy as np
import pytest

from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.address import open_store
from services.standalone.run import train
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.history import check_history

pytestmark = pytest.mark.timeout(300)


def relation_norms(folder: Path, *, trainers: int) -> dict[str, float]:
    """Euclidean norm of each parameter tensor after the same job."""
    config = codex_job(
        store_url(folder),
        entities={"entity": {"num_partitions": 8}},
        num_groups=8,
        num_epochs=4,
        trainer={"threads": 1, "parameter_sync_seconds": 0.1},
        lease={"ttl_seconds": 20.0},
    )
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    train(config, trainers=trainers, environ={}, watch=lambda _: None)
    commits = check_history(store, config)
    # Where all of them run is up to the machine: one that starts late may find nothing left. Two share all the same.
    assert len({commit.trainer_id for commit in commits}) >= min(trainers, 2)
    parameters = Checkpoint.read(store, config.job).parameters
    return {name: float(np.linalg.norm(tensor)) for name, tensor in parameters.items()}


def test_one_and_four_trainers_end_with_the_same_relation_norms(tmp_path: Path) -> None:
    alone = relation_norms(tmp_path / "one", trainers=1)
    together = relation_norms(tmp_path / "four", trainers=4)
    assert alone.keys() == together.keys()
    assert len(alone) == 4
    for name, norm in alone.items():
        # The sums are of fourth order in the gradients, so a few early edges rule them: a looser bound, which separate
        # sums for each trainer (a quarter) or deltas counted twice (the double) would break.
        bound = 0.05 if name.endswith("/values") else 0.4
        assert together[name] == pytest.approx(norm, rel=bound), name
