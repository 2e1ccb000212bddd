"""Subjects: a job's largest group as if nothing were cut."""

from pathlib import Path

import pytest

from graphbed.benchmark.subject import job_subject
from graphbed.config.load import load_job
from graphbed.errors import InputError
from graphbed.ingest.run import ingest
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import read_graph
from graphbed.storage.graph_files import read_entities
from tests.fixtures.trained import TRAIN, write_job


def test_the_rows_of_a_job_name_its_edges(tmp_path: Path):
    config = load_job(write_job(tmp_path))
    store = DirectoryStore(config.store)
    ingest(config, store, lambda *_: None)
    schema = read_graph(store, config.graph)
    subject = job_subject(store, config, schema)
    names = {
        kind: [name for index in range(len(table.partitions)) for name in read_entities(store, table.partitions[index])]
        for kind, table in schema.entities.items()
    }
    likes = sorted((lhs, rhs) for lhs, relation, rhs in TRAIN if relation == "likes")
    found = zip(subject.edges.lhs.tolist(), subject.edges.rhs.tolist(), strict=True)
    assert subject.group == 0 and subject.relations == 1
    assert sorted((names["user"][lhs], names["item"][rhs]) for lhs, rhs in found) == likes
    assert subject.rows == {"user": 12, "item": 7}


def test_a_graph_without_training_edges_is_refused(tmp_path: Path):
    config = load_job(write_job(tmp_path))
    store = DirectoryStore(config.store)
    ingest(config, store, lambda *_: None)
    schema = read_graph(store, config.graph)
    without = schema.model_copy(update={"splits": {"test": schema.splits["test"]}})
    with pytest.raises(InputError, match="no training edges"):
        job_subject(store, config, without)
