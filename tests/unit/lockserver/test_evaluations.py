"""What `graphbed eval` leaves in the store is what the lock server shows."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from graphbed.cli import __main__ as cli
from graphbed.errors import ObjectCorrupt
from graphbed.storage import layout
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.evaluation_file import read_evaluations
from services.lockserver.evaluations import Evaluations
from services.lockserver.metrics import LockServerMetrics
from tests.fixtures.trained import train_by_chance, write_job


class OneJob:
    """A table of jobs that only knows their names."""

    def names(self) -> list[str]:
        return ["j", "never-evaluated"]


def test_the_newest_evaluation_of_each_split_is_shown(tmp_path: Path, capsys) -> None:
    path = write_job(tmp_path)
    config = train_by_chance(path)
    store, registry = DirectoryStore(config.store), CollectorRegistry()
    shown = Evaluations(jobs=OneJob(), store=store, metrics=LockServerMetrics(registry))  # type: ignore[arg-type]
    shown.tick()
    for split in ("test", "train", "test"):
        assert cli.run(["eval", str(path), "--split", split, "--json"]) == 0
    records = {record.split: record for record in read_evaluations(store, "j")}
    assert records.keys() == {"test", "train"} and records["test"].checkpoint == 1
    assert records["test"].protocol["filtered"] is True
    shown.tick()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"graphbed_lockserver_evaluation_{name}", {"job_name": "j", **labels})

    for split, record in records.items():
        assert value("mrr", split=split) == record.mrr
        assert value("hits_ratio", split=split, k="10") == record.hits_at_10
    assert (
        registry.get_sample_value(
            "graphbed_lockserver_evaluation_mrr", {"job_name": "never-evaluated", "split": "test"}
        )
        is None
    )


def test_a_damaged_evaluation_is_named(tmp_path: Path) -> None:
    store = DirectoryStore(str(tmp_path))
    store.put(layout.evaluation("j", "test"), b"{}")
    with pytest.raises(ObjectCorrupt, match=r"evaluations/test\.json"):
        read_evaluations(store, "j")
