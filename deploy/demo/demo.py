"""The demonstration: the shipped FB15k-237 ingested, submitted to the cluster, waited for, evaluated.

Run again, it finds what is done already. GRAPHBED_DEMO_EPOCHS makes it shorter, for trying things.
"""

import os
import sys
import time

from rich.console import Console

from graphbed.cli.training_progress import Lines
from graphbed.clients.lockserver import LockServerClient
from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job, load_job
from graphbed.datasets.catalog import dataset_path
from graphbed.errors import GraphbedError, ServerUnreachable, StoreUnavailable
from graphbed.evaluation.evaluate import evaluate
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.address import open_store
from graphbed.storage.evaluation_file import write_evaluation
from graphbed.v1 import lockserver_pb2

LOOK_SECONDS = 1.0
PARTITIONS = 16
"""So many that four trainers find work at once; each lease holds a quarter of the table."""


def main() -> int:
    """0 when the job is completed and evaluated; 1 with one line if something is in the way."""
    console = Console(width=100)
    config = load_job(dataset_path("fb15k-237") / "job.yaml")
    epochs = int(os.environ.get("GRAPHBED_DEMO_EPOCHS") or config.num_epochs)
    entities = {
        name: entity.model_copy(update={"num_partitions": PARTITIONS}) for name, entity in config.entities.items()
    }
    config = config.model_copy(
        update={
            "job": "demo",
            "graph": f"fb15k-237-{PARTITIONS}",
            "store": os.environ["GRAPHBED_STORE"],
            "entities": entities,
            "num_epochs": epochs,
        }
    )
    try:
        store = open_store(config.store, os.environ)
        console.print("ingesting FB15k-237")
        ingest(config, store, lambda *_: None)
        _train(config, console)
        console.print("evaluating")
        checkpoint = Checkpoint.read(store, config.job)
        result = evaluate(store, checkpoint, "test", filtered=True, per_relation=False, clock=SystemClock())
        write_evaluation(store, config.job, result.to_record())
    except GraphbedError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    console.print(
        f"filtered test MRR {result.both.mrr:.4f}, Hits@10 {result.both.hits_at_10:.4f}, "
        f"checkpoint {checkpoint.manifest.sequence}"
    )
    return 0


def _train(config: JobConfig, console: Console) -> None:
    lines = Lines(console, SystemClock())
    with LockServerClient(os.environ["GRAPHBED_LOCKSERVER"]) as client:
        client.submit(dump_job(config))
        while True:
            try:
                reply = client.get_job(config.job)
            except (ServerUnreachable, StoreUnavailable):  # something is restarted; the job goes on when it is back
                time.sleep(LOOK_SECONDS)
                continue
            lines.watch(reply)
            if reply.summary.status == lockserver_pb2.JOB_STATUS_COMPLETED:
                return
            if reply.summary.status == lockserver_pb2.JOB_STATUS_CANCELLED:
                console.print("the job was cancelled; what was committed is evaluated")
                return
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
