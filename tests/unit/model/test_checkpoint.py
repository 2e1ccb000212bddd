"""Reading a trained model from the object store."""

from pathlib import Path

import numpy as np
import pytest

from graphbed.config.choices import Operator
from graphbed.config.job import EntityConfig, JobConfig, RelationConfig
from graphbed.config.load import dump_job
from graphbed.errors import CheckpointMissing, ConfigDiffers, GraphMissing, ObjectCorrupt, ObjectMissing
from graphbed.graph.partition import Partition
from graphbed.graph.schema import EntityTable, GraphSchema, RelationEntry, StoredFile
from graphbed.model.checkpoint import Checkpoint
from graphbed.model.parameters import sums_name, values_name
from graphbed.model.tables import initial_partition
from graphbed.storage import layout
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import write_graph
from graphbed.storage.manifest import Manifest, Pointer, SealedParameters, StoredVersion
from graphbed.storage.objects import ObjectStore
from graphbed.storage.parameter_file import pack_tensors
from graphbed.storage.partition_file import PartitionArrays, pack_partition

CONFIG = JobConfig(
    job="j",
    graph="g",
    entities={"node": EntityConfig(num_partitions=2)},
    relations=[RelationConfig(name="*", lhs="node", rhs="node", operator=Operator.DIAGONAL)],
    dimension=3,
)
VALUES, SUMS = values_name(0, "rhs"), sums_name(0, "rhs")
TRAINED = PartitionArrays(embeddings=np.arange(12, dtype=np.float32).reshape(4, 3), sums=np.ones((4, 1), np.float32))


def file(rows: int) -> StoredFile:
    return StoredFile(key="k", size=0, sha256="", rows=rows)


def graph(seed: int = 0) -> GraphSchema:
    return GraphSchema(
        name="g",
        seed=seed,
        entities={"node": EntityTable(partitions=(file(5), file(4)))},
        relations=(RelationEntry(name="r", lhs="node", rhs="node"), RelationEntry(name="s", lhs="node", rhs="node")),
        relation_file=file(2),
        splits={},
        weighted=False,
    )


def version(store: ObjectStore, key: str, data: bytes, rows: int = 0) -> StoredVersion:
    stored = store.put(key, data)
    return StoredVersion(key=key, size=stored.size, sha256=stored.sha256, rows=rows, dimension=3 if rows else 0)


def tensors(value: float) -> dict[str, np.ndarray]:
    return {VALUES: np.full((2, 3), value, np.float32), SUMS: np.full((2, 3), value / 2, np.float32)}


def manifest(store: ObjectStore, *, base: float | None = None, deltas: tuple[float, ...] = ()) -> Manifest:
    graph_sha256 = write_graph(store, graph()).sha256
    if not store.exists(layout.job_document("j")):
        store.create(layout.job_document("j"), dump_job(CONFIG).encode())
    key = layout.partition_version("j", Partition("node", 1), "lease")
    pointer = Pointer(entity_type="node", index=1, version=version(store, key, pack_partition(TRAINED), rows=4))
    return Manifest(
        job="j",
        sequence=1,
        parent_sha256=None,
        nonce="n",
        written_at=0,
        config_sha256=CONFIG.digest(),
        graph_sha256=graph_sha256,
        status="running",
        pointers=(pointer,),
        progress=(),
        parameters=SealedParameters(
            base=None if base is None else version(store, "jobs/j/parameters/base", pack_tensors(tensors(base))),
            deltas=tuple(
                version(store, f"jobs/j/parameters/{place}", pack_tensors(tensors(delta)))
                for place, delta in enumerate(deltas)
            ),
        ),
        epochs=(),
        commits=(),
    )


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return DirectoryStore(tmp_path)


def test_trained_partitions_are_read_and_the_others_are_initial(store: ObjectStore):
    checkpoint = Checkpoint.read(store, "j", manifest(store))
    untouched, trained = checkpoint.embeddings("node")
    np.testing.assert_array_equal(trained, TRAINED.embeddings)
    np.testing.assert_array_equal(untouched, initial_partition(CONFIG, Partition("node", 0), 5).embeddings)
    assert checkpoint.config == CONFIG
    assert checkpoint.schema == graph()


def test_parameters_are_the_initial_ones_plus_the_deltas(store: ObjectStore):
    parameters = Checkpoint.read(store, "j", manifest(store, deltas=(2, -0.5))).parameters
    assert (parameters[VALUES] == 2.5).all()
    assert (parameters[SUMS] == 0.75).all()


def test_a_base_takes_the_place_of_the_initial_parameters(store: ObjectStore):
    parameters = Checkpoint.read(store, "j", manifest(store, base=10, deltas=(2,))).parameters
    assert (parameters[VALUES] == 12).all()
    assert (parameters[SUMS] == 6).all()


def test_the_newest_manifest_is_read_unless_one_is_given(store: ObjectStore):
    older, newer = manifest(store, base=1), manifest(store, deltas=(3,)).model_copy(update={"sequence": 2})
    for one in (older, newer):
        store.create(layout.manifest("j", one.sequence), one.to_json())
    assert Checkpoint.read(store, "j").manifest == newer
    assert (Checkpoint.read(store, "j", older).parameters[VALUES] == 1).all()


def test_without_a_manifest_there_is_no_checkpoint(store: ObjectStore):
    with pytest.raises(CheckpointMissing):
        Checkpoint.read(store, "j")


def test_a_graph_that_is_gone_or_another_is_refused(store: ObjectStore):
    chosen = manifest(store)
    write_graph(store, graph(seed=1))
    with pytest.raises(ConfigDiffers, match="ingested anew"):
        Checkpoint.read(store, "j", chosen)
    store.delete(layout.graph_document("g"))
    with pytest.raises(GraphMissing):
        Checkpoint.read(store, "j", chosen)


def test_damaged_and_missing_objects_are_named(store: ObjectStore):
    chosen = manifest(store, deltas=(2,))
    key = chosen.pointers[0].version.key
    data = store.get(key)
    store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ObjectCorrupt, match=key):
        Checkpoint.read(store, "j", chosen).embeddings("node")
    store.delete(key)
    with pytest.raises(ObjectMissing, match=key):
        Checkpoint.read(store, "j", chosen).embeddings("node")
    delta = chosen.parameters.deltas[0].key
    store.put(delta, store.get(delta)[:-1])
    with pytest.raises(ObjectCorrupt, match=delta):
        Checkpoint.read(store, "j", chosen)


def test_tensors_that_the_job_does_not_have_are_refused(store: ObjectStore):
    chosen = manifest(store)
    strange = version(store, "jobs/j/parameters/strange", pack_tensors({VALUES: np.zeros((3, 3), np.float32)}))
    parameters = SealedParameters(base=None, deltas=(strange,))
    with pytest.raises(ObjectCorrupt, match="strange"):
        Checkpoint.read(store, "j", chosen.model_copy(update={"parameters": parameters}))
