"""A small cluster at work and a Prometheus that scrapes it: real processes, all on free ports."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.load import dump_job
from graphbed.storage.address import open_store
from graphbed.storage.evaluation_file import EvaluationRecord, write_evaluation
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.processes import ServiceProcess, clean_environment
from tests.ops.prometheus_tools import program

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
JOB = "codex"
EVALUATION = EvaluationRecord(
    checkpoint=1,
    split="valid",
    mrr=0.3,
    mean_rank=70.0,
    hits_at_1=0.2,
    hits_at_3=0.3,
    hits_at_10=0.5,
    protocol={"filtered": True},
)
"""As an earlier `graphbed eval` left it."""


class Prometheus:
    """A running Prometheus; its address is host:port."""

    def __init__(self, address: str) -> None:
        self.address = address

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that the expression gives now. Raises AssertionError if Prometheus refuses it."""
        return list(self._get("query", query=expression)["result"])

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing."""
        return list(self._get("alerts")["alerts"])

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _get(self, what: str, **arguments: str) -> dict[str, Any]:
        url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {error.read().decode()}") from error
        assert answer["status"] == "success", answer
        data = answer["data"]
        assert isinstance(data, dict)
        return data


class Cluster:
    """Three servers and two trainers that work on a job of many epochs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        store = store_url(folder)
        self._environment = {**clean_environment(), "GRAPHBED_STORE": store}
        config = codex_job(
            store, job=JOB, num_epochs=1000, lease={"ttl_seconds": 10.0}, checkpoint={"interval_seconds": 5.0}
        )
        opened = open_store(store, self._environment)
        ingest_quietly(config, opened)
        write_evaluation(opened, config.job, EVALUATION)
        self.partitionserver = self.start("partitionserver")
        self.paramserver = self.start("paramserver")
        self.lockserver = self.start(
            "lockserver", GRAPHBED_STATE=f"file://{folder / 'state'}", GRAPHBED_PARAMSERVER=self.paramserver.address
        )
        with LockServerClient(self.lockserver.address) as locks:
            locks.submit(dump_job(config))
        self.trainers = [self.start_trainer() for _ in range(2)]

    def start(self, name: str, **environment: str) -> ServiceProcess:
        """One more process of a service."""
        process = ServiceProcess(name, self._folder, {**self._environment, **environment})
        return self._stack.enter_context(process)

    def start_trainer(self, **environment: str) -> ServiceProcess:
        """One more trainer."""
        return self.start(
            "trainer",
            **environment,
            GRAPHBED_TRAINER_THREADS="1",
            GRAPHBED_LOCKSERVER=self.lockserver.address,
            GRAPHBED_PARTITIONSERVERS=self.partitionserver.address,
            GRAPHBED_PARAMSERVER=self.paramserver.address,
        )

    def targets(self) -> dict[str, list[str]]:
        """Prometheus' names of the services → addresses of their metrics."""
        return {
            "lockserver": [self.lockserver.metrics_address],
            "partitionserver": [self.partitionserver.metrics_address],
            "paramserver": [self.paramserver.metrics_address],
            "trainer": [trainer.metrics_address for trainer in self.trainers],
        }


@contextmanager
def watched_cluster(folder: Path) -> Iterator[tuple[Cluster, Prometheus]]:
    """A cluster that trains, and a Prometheus with the shipped rules that looks at it every second."""
    program("prometheus")
    with ExitStack() as stack:
        cluster = Cluster(folder, stack)
        prometheus = stack.enter_context(_prometheus(folder / "prometheus", cluster.targets()))
        yield cluster, prometheus


@contextmanager
def _prometheus(folder: Path, targets: dict[str, list[str]]) -> Iterator[Prometheus]:
    folder.mkdir()
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": addresses}]} for name, addresses in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    prometheus = Prometheus(f"127.0.0.1:{_free_port()}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={prometheus.address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while not prometheus.is_ready():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
