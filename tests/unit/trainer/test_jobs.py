"""Jobs as a trainer knows them: read once, and anew when a grant is of another job of that name."""

from pathlib import Path

import pytest

from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.graph.schema import GraphSchema
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import write_graph
from graphbed.storage.objects import StoredObject
from graphbed.v1 import lockserver_pb2
from services.trainer.jobs import Jobs
from tests.unit.lockserver.examples import make_config, square_schema


class Cluster:
    """What the lock server answers of a job, how often it was asked, and the graph in the store."""

    def __init__(self, folder: Path) -> None:
        self.store = DirectoryStore(folder)
        self.asked = 0

    def submit(self, schema: GraphSchema, **changes: object) -> lockserver_pb2.Grant:
        """Replace the job of that name; return what its grants say."""
        self.config: JobConfig = make_config(schema, **changes)
        graph: StoredObject = write_graph(self.store, schema)
        return lockserver_pb2.Grant(job=self.config.job, config_sha256=self.config.digest(), graph_sha256=graph.sha256)

    def get_job(self, name: str) -> lockserver_pb2.GetJobResponse:
        assert name == self.config.job
        self.asked += 1
        return lockserver_pb2.GetJobResponse(config_yaml=dump_job(self.config))

    def declare(self, job: str, tensors: object) -> None:
        raise AssertionError("a job without operators has no parameters")


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def jobs(cluster: Cluster) -> Jobs:
    return Jobs(cluster, cluster, cluster.store)


def test_a_job_is_read_once_whatever_it_is_extended_to(cluster: Cluster, jobs: Jobs) -> None:
    first = jobs.get(cluster.submit(square_schema(4)))
    assert jobs.get(cluster.submit(square_schema(4), num_epochs=9)) is first
    assert cluster.asked == 1


def test_a_job_that_took_the_name_of_a_deleted_one_is_read_anew(cluster: Cluster, jobs: Jobs) -> None:
    jobs.get(cluster.submit(square_schema(4), lr=0.1))
    grant = cluster.submit(square_schema(4), lr=0.5)
    assert jobs.get(grant).config.lr == 0.5
    assert jobs.get(grant).config == cluster.config
    assert cluster.asked == 2


def test_a_job_on_a_graph_that_was_ingested_anew_is_read_anew(cluster: Cluster, jobs: Jobs) -> None:
    jobs.get(cluster.submit(square_schema(4)))
    larger = square_schema(4, rows=9)
    assert jobs.get(cluster.submit(larger)).schema == larger
