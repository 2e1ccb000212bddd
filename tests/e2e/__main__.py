"""python -m tests.e2e [--epochs N] [--seed N]: the story on this machine's Docker engine, with images that are there.

Without --epochs it is a full run: the demonstration must reach the quickstart's MRR, and the record is written anew.
"""

import argparse
import datetime
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from docker.errors import DockerException

from tests.e2e import record
from tests.e2e.cluster import LONG_RUNNING, ROOT, Cluster
from tests.e2e.job import WatchedJob
from tests.e2e.story import Story

FOLDER = ROOT / "runs/e2e"
EXPECTED_MRR, MRR_TOLERANCE = 0.319, 0.01


def main() -> int:
    """0: the cluster kept its promises; 1: it did not, and the containers' logs are in runs/e2e; 2: not root."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, help="train for fewer epochs; no MRR is asked for, no record is written")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the faults and of who they befall")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.stderr.write("the story kills processes of containers: run it as root\n")
        return 2
    shutil.rmtree(FOLDER, ignore_errors=True)
    history = FOLDER / "history"
    history.mkdir(parents=True)
    history.chmod(0o777)  # written by the containers' own user
    log = _Log(FOLDER / "log.txt")
    lockservers = _two_free_ports()
    store, prometheus = _free_port(), _free_port()
    cluster = Cluster(
        {
            "LOCKSERVER_PORTS": f"{lockservers}-{lockservers + 1}",
            "STORE_PORT": str(store),
            "PROMETHEUS_PORT": str(prometheus),
            "GRAPHBED_DEMO_EPOCHS": str(arguments.epochs or ""),
            "E2E_HISTORY": str(history),
        }
    )
    job = WatchedJob((f"127.0.0.1:{lockservers}", f"127.0.0.1:{lockservers + 1}"))

    def store_environ(cluster: Cluster) -> dict[str, str]:
        return {
            "GRAPHBED_S3_ENDPOINT": f"http://127.0.0.1:{store}",
            "GRAPHBED_S3_ACCESS_KEY": cluster.read("lockserver", "/run/graphbed/store/access-key"),
            "GRAPHBED_S3_SECRET_KEY": cluster.read("lockserver", "/run/graphbed/store/secret-key"),
        }

    story = Story(
        cluster=cluster,
        job=job,
        history=history,
        store_environ=store_environ,
        store_url="s3://graphbed/cluster",
        prometheus=f"http://127.0.0.1:{prometheus}",
        draw=random.Random(arguments.seed),
        tell=log.tell,
    )
    figures: dict[str, Any] = {
        "digest": record.digest(),
        "commit": _git("rev-parse", "HEAD"),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "seed": arguments.seed,
        "epochs": arguments.epochs or "the demonstration's own",
        "image_megabytes": cluster.image_megabytes(),
    }
    began = time.monotonic()
    try:
        cluster.down(volumes=True)
        story.run()
        if arguments.epochs is None:
            _require_promised(story.figures)
    except AssertionError as error:
        log.tell(f"FAILED: {error}")
        return 1
    finally:
        job.close()
        _keep_logs(cluster)
        cluster.down(volumes=True)
    figures |= {**story.figures, "seconds": round(time.monotonic() - began)}
    log.tell(f"done in {figures['seconds']} s")
    if arguments.epochs is None:
        record.write(figures, log.path.read_text())
    return 0


def _require_promised(figures: dict[str, Any]) -> None:
    assert abs(figures["mrr"] - EXPECTED_MRR) <= MRR_TOLERANCE, f"MRR {figures['mrr']}, expected {EXPECTED_MRR}"


def _keep_logs(cluster: Cluster) -> None:
    """What each container wrote, for whoever has to find out why."""
    for service in (*LONG_RUNNING, "secrets", "bucket", "demo"):
        for container in cluster.containers(service):
            (FOLDER / f"{container.name}.log").write_bytes(container.logs(timestamps=True))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _two_free_ports() -> int:
    """The first of two free ports in a row."""
    while True:
        first = _free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
            return first


class _Log:
    """Lines with the seconds since the start, on the terminal and in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()

    def tell(self, text: str) -> None:
        line = f"{time.monotonic() - self._began:7.1f} s  {text}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        with self.path.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DockerException as error:
        sys.exit(f"{error}: `make e2e-images` starts an engine and builds the images")
