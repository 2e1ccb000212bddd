"""docs/cluster-by-hand.md as a test: real Redis, real S3, and `python -m services.…` processes."""

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from graphbed.config.load import dump_job
from graphbed.storage.address import open_store
from tests.fixtures.graphs import codex_job, ingest_quietly
from tests.fixtures.history import check_history
from tests.fixtures.processes import ServiceProcess, clean_environment
from tests.fixtures.s3 import S3Place

pytestmark = pytest.mark.timeout(300)


def graphbed(*arguments: str, environment: dict[str, str]) -> dict[str, object]:
    """Run the command line with --json; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "graphbed.cli", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def metric(address: str, name: str) -> float:
    """Sum over the labels of one metric at /metrics."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as reply:
        lines = reply.read().decode().splitlines()
    values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name]
    assert values, f"{name} is not exported"
    return sum(values)


def test_four_services_train_a_job_through_redis_and_s3(tmp_path: Path, s3: S3Place, redis_url: str) -> None:
    clean = clean_environment()
    # Long enough that no lease ends on a busy machine: each edge is trained exactly once an epoch.
    config = codex_job(s3.url, job="by-hand", num_epochs=2, lease={"ttl_seconds": 30.0})
    stores = {**s3.environ, "GRAPHBED_STORE": s3.url}
    store = open_store(s3.url, s3.environ)
    ingest_quietly(config, store)
    job_file = tmp_path / "job.yaml"
    job_file.write_text(yaml.safe_dump(yaml.safe_load(dump_job(config))))
    with ExitStack() as stack:

        def start(name: str, **environment: str) -> ServiceProcess:
            process = ServiceProcess(name, tmp_path, {**clean, **stores, **environment})
            return stack.enter_context(process)

        partitions = start("partitionserver")
        parameters = start("paramserver")
        locks = start("lockserver", GRAPHBED_STATE=redis_url, GRAPHBED_PARAMSERVER=parameters.address)
        addresses = {
            "GRAPHBED_LOCKSERVER": locks.address,
            "GRAPHBED_PARTITIONSERVERS": partitions.address,
            "GRAPHBED_PARAMSERVER": parameters.address,
        }
        cli = {**clean, **stores, **addresses}
        submitted = graphbed("submit", str(job_file), environment=cli)
        assert submitted["job"] == "by-hand"
        trainers = [start("trainer", GRAPHBED_TRAINER_THREADS="1", **addresses) for _ in range(2)]
        deadline = time.monotonic() + 200
        status: dict[str, object] = {}
        while status.get("status") != "completed":
            assert time.monotonic() < deadline, [trainer.log()[-2000:] for trainer in trainers]
            status = graphbed("status", "by-hand", environment=cli)
            time.sleep(0.5)
        assert metric(locks.metrics_address, "graphbed_lockserver_commits_total") >= 12
        assert sum(metric(t.metrics_address, "graphbed_trainer_edges_total") for t in trainers) == 2 * 32_888
        assert metric(partitions.metrics_address, "graphbed_partitionserver_bytes_total") > 0
        assert metric(parameters.metrics_address, "graphbed_paramserver_seals_total") >= 12
        assert [trainer.terminate() for trainer in trainers] == [0, 0]
        assert [server.terminate() for server in (locks, parameters, partitions)] == [0, 0, 0]
    commits = check_history(store, config)
    assert {commit.trainer_id for commit in commits} != set()
    evaluated = graphbed("eval", str(job_file), "--split", "test", environment=cli)
    assert float(str(evaluated["mrr"])) > 0.1
