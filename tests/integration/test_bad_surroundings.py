"""What a process or command says when what it needs is not there: one line, exit 2, no traceback."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from graphbed.config.load import dump_job
from graphbed.graph.partition import Bucket
from graphbed.storage.address import open_store
from graphbed.storage.chain import commit_log
from graphbed.storage.graph_document import read_graph
from graphbed.storage.manifest import require_newest
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.processes import clean_environment
from tests.fixtures.s3 import S3Place


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*arguments: str, file_bytes: int | None = None, **environment: str) -> str:
    """Run a module that must exit with 2 and one line on stderr; return the line.

    With `file_bytes`, no file can grow beyond that, which fails as a write to a full disk does.
    """
    clean = clean_environment()
    limit = ["prlimit", f"--fsize={file_bytes}"] if file_bytes else []
    done = subprocess.run(
        [*limit, sys.executable, "-m", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_lock_server_without_redis_names_its_address(tmp_path: Path) -> None:
    port = closed_port()
    line = run(
        "services.lockserver", GRAPHBED_STORE=str(tmp_path / "store"), GRAPHBED_STATE=f"redis://127.0.0.1:{port}/0"
    )
    assert f"127.0.0.1:{port}" in line
    assert "check" in line


SERVERS = ["services.lockserver", "services.partitionserver", "services.paramserver", "services.trainer"]


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    """A job whose graph and checkpoints lie in S3, or are to lie there."""
    path = tmp_path / "job.yaml"
    path.write_text(dump_job(codex_job("s3://graphbed/prefix")))
    return path


@pytest.mark.parametrize("server", SERVERS)
def test_servers_without_their_store_name_its_address(tmp_path: Path, server: str) -> None:
    port = closed_port()
    keys = {"GRAPHBED_S3_ACCESS_KEY": "a", "GRAPHBED_S3_SECRET_KEY": "very-secret"}
    line = run(
        server,
        GRAPHBED_STORE="s3://bucket/prefix",
        GRAPHBED_S3_ENDPOINT=f"http://127.0.0.1:{port}",
        GRAPHBED_STATE=str(tmp_path),
        GRAPHBED_LISTEN="127.0.0.1:0",
        **keys,
    )
    assert f"127.0.0.1:{port}" in line
    assert "check" in line
    assert "very-secret" not in line


@pytest.mark.parametrize("server", SERVERS)
def test_wrong_keys_are_told_apart_from_a_store_that_is_away(s3: S3Place, tmp_path: Path, server: str) -> None:
    wrong = {**s3.environ, "GRAPHBED_S3_SECRET_KEY": "not-the-secret"}
    line = run(server, GRAPHBED_STORE=s3.url, GRAPHBED_STATE=str(tmp_path), GRAPHBED_LISTEN="127.0.0.1:0", **wrong)
    assert "refused the keys" in line
    assert s3.endpoint.removeprefix("http://") in line
    assert "not-the-secret" not in line


@pytest.mark.parametrize("command", [("ingest",), ("eval", "--split", "test")])
def test_commands_without_their_store_name_its_address(job_file: Path, command: tuple[str, ...]) -> None:
    port = closed_port()
    keys = {"GRAPHBED_S3_ACCESS_KEY": "a", "GRAPHBED_S3_SECRET_KEY": "very-secret"}
    name, *options = command
    line = run("graphbed.cli", name, str(job_file), *options, GRAPHBED_S3_ENDPOINT=f"http://127.0.0.1:{port}", **keys)
    assert f"127.0.0.1:{port}" in line
    assert "check" in line
    assert "very-secret" not in line


@pytest.mark.parametrize("command", [("ingest",), ("eval", "--split", "test")])
def test_commands_with_wrong_keys_say_so(s3: S3Place, job_file: Path, command: tuple[str, ...]) -> None:
    wrong = {**s3.environ, "GRAPHBED_S3_SECRET_KEY": "not-the-secret"}
    name, *options = command
    line = run("graphbed.cli", name, str(job_file), *options, **wrong)
    assert "refused the keys" in line
    assert s3.endpoint.removeprefix("http://") in line
    assert "not-the-secret" not in line


def test_a_command_without_a_lock_server_names_its_address() -> None:
    port = closed_port()
    line = run("graphbed.cli", "status", "--lockserver", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in line
    assert "check" in line


def test_a_disk_that_fills_up_while_ingesting_leaves_no_graph(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), entities={"entity": {"num_partitions": 1}})
    path = tmp_path / "job.yaml"
    path.write_text(dump_job(config))
    # The entities fit, the edges do not.
    line = run("graphbed.cli", "ingest", str(path), file_bytes=64 << 10)
    assert "no room left" in line
    assert config.store in line
    store = open_store(config.store, {})
    assert store.exists("graphs/codex-s/entities/entity/0.parquet")
    assert not store.exists("graphs/codex-s/graph.json")
    ingest_quietly(config, store)
    assert read_graph(store, "codex-s").edges_per_bucket("train") == {Bucket(0, 0): 32_888}


def test_a_disk_that_fills_up_while_training_is_told_by_the_name_of_the_store(tmp_path: Path) -> None:
    # A partition file takes 2 MB.
    config = codex_job(store_url(tmp_path), num_epochs=1, dimension=1024, num_batch_negs=8, num_uniform_negs=8)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    path = tmp_path / "job.yaml"
    path.write_text(dump_job(config))
    line = run("graphbed.cli", "train", str(path), "--trainers", "1", file_bytes=1 << 20)
    assert "no room left" in line
    assert config.store in line
    assert commit_log(store, config.job) == []
    assert require_newest(store, config.job).status == "running"


def test_a_checkpoint_of_another_configuration_is_refused_with_the_key(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), num_epochs=1)
    ingest_quietly(config, open_store(config.store, {}))
    path = tmp_path / "job.yaml"
    path.write_text(dump_job(config))
    clean = clean_environment()
    subprocess.run([sys.executable, "-m", "graphbed.cli", "train", str(path)], env=clean, check=True, timeout=120)
    changed = {**yaml.safe_load(dump_job(config)), "dimension": 64}
    path.write_text(yaml.safe_dump(changed))
    for command in (("train",), ("eval", "--split", "test")):
        line = run("graphbed.cli", command[0], str(path), *command[1:])
        assert "dimension is 64, was 32" in line


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_partition_is_named_and_refused(tmp_path: Path, damage: str) -> None:
    config = codex_job(store_url(tmp_path), num_epochs=1)
    ingest_quietly(config, open_store(config.store, {}))
    path = tmp_path / "job.yaml"
    path.write_text(dump_job(config))
    clean = clean_environment()
    subprocess.run([sys.executable, "-m", "graphbed.cli", "train", str(path)], env=clean, check=True, timeout=120)
    for version in Path(config.store).glob("jobs/*/partitions/entity/0/*.safetensors"):
        data = bytearray(version.read_bytes())
        if damage == "flip":
            data[len(data) // 2] ^= 1
        else:
            del data[-100:]
        version.write_bytes(bytes(data))
    line = run("graphbed.cli", "eval", str(path), "--split", "test")
    assert "jobs/codex/partitions/entity/0/" in line
