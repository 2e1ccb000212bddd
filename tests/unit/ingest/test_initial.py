"""Initial vectors: read by name, kept by offset, the first state of a partition."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphbed.config.job import JobConfig
from graphbed.errors import InputError
from graphbed.graph.partition import Partition
from graphbed.ingest.run import ingest
from graphbed.model.tables import first_partition, initial_partition
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import read_graph
from graphbed.storage.graph_files import read_entities

NAMES = [f"n{i}" for i in range(10)]


def vector_file(path: Path, names: list[str], vectors: np.ndarray) -> Path:
    pq.write_table(pa.table({"name": names, "embedding": list(vectors)}), path)
    return path


def job(folder: Path, vectors: Path | None) -> JobConfig:
    edges = folder / "edges.tsv"
    edges.write_text("".join(f"{name}\tr\t{other}\n" for name, other in itertools.pairwise(NAMES)))
    return JobConfig.model_validate(
        {
            "job": "j",
            "graph": "g",
            "entities": {"node": {"num_partitions": 2, "init_path": None if vectors is None else str(vectors)}},
            "relations": [{"name": "r", "lhs": "node", "rhs": "node"}],
            "edges": {"train": {"files": [str(edges)]}},
            "dimension": 4,
        }
    )


def some_vectors(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)


def test_an_untrained_partition_holds_the_vectors_of_the_file_and_random_ones_for_the_rest(tmp_path: Path):
    vectors = some_vectors(4)
    named = ["n7", "n2", "stranger", "n0"]
    config = job(tmp_path, vector_file(tmp_path / "vectors.parquet", named, vectors))
    store = DirectoryStore(tmp_path / "store")
    ingest(config, store, lambda *_: None)
    schema = read_graph(store, "g")
    seen = 0
    for index, file in enumerate(schema.entities["node"].partitions):
        found = first_partition(store, config, schema, Partition("node", index)).embeddings
        random = initial_partition(config, Partition("node", index), file.rows).embeddings
        for row, name in enumerate(read_entities(store, file)):
            seen += name in named
            np.testing.assert_array_equal(found[row], vectors[named.index(name)] if name in named else random[row])
    assert seen == 3


def test_the_same_vectors_ingest_again_and_others_are_another_graph(tmp_path: Path):
    path = vector_file(tmp_path / "vectors.parquet", NAMES[:3], some_vectors(3))
    config = job(tmp_path, path)
    store = DirectoryStore(tmp_path / "store")
    assert ingest(config, store, lambda *_: None).created
    assert not ingest(config, store, lambda *_: None).created
    vector_file(path, NAMES[:3], some_vectors(3) + 1)
    with pytest.raises(InputError, match="initial vectors"):
        ingest(config, store, lambda *_: None)
    with pytest.raises(InputError, match="initial vectors"):
        ingest(job(tmp_path, None), store, lambda *_: None)


@pytest.mark.parametrize(
    ("names", "vectors", "complaint"),
    [
        (["n1", "n1"], np.ones((2, 4)), "twice"),
        (["n1", "n2"], np.ones((2, 5)), "vectors of 5 numbers, and dimension is 4"),
        (["n1", "n2"], np.full((2, 4), np.nan), "not finite"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, names: list[str], vectors: np.ndarray, complaint: str
):
    path = vector_file(tmp_path / "vectors.parquet", names, vectors.astype(np.float32))
    with pytest.raises(InputError, match=complaint) as caught:
        ingest(job(tmp_path, path), DirectoryStore(tmp_path / "store"), lambda *_: None)
    assert "vectors.parquet" in str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    path = tmp_path / "vectors.parquet"
    path.write_text("not Parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        ingest(job(tmp_path, path), DirectoryStore(tmp_path / "store"), lambda *_: None)
    with pytest.raises(InputError, match="cannot be read"):
        ingest(job(tmp_path, tmp_path / "absent"), DirectoryStore(tmp_path / "store"), lambda *_: None)
