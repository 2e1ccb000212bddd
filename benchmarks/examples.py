"""The quality of the examples: each trained and evaluated as its file says, several seeds if asked for.

    .venv/bin/python benchmarks/examples.py fb15k-237-fast fb15k-237-best --seeds 3

Adds to results/examples.json after each run and leaves out what is there already. Seconds of the processor are given
beside the wall time, because a busy machine stretches the one and not the other.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.config.load import load_job
from graphbed.evaluation.evaluate import evaluate
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.model.warm import warm_up
from graphbed.storage.address import open_store
from services.standalone.run import train

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "examples.json"


def run(name: str, example: JobConfig) -> dict[str, object]:
    """Train the example in a store of its own and rank the test edges among all entities."""
    with tempfile.TemporaryDirectory() as folder:
        config = example.model_copy(update={"store": folder})
        store = open_store(folder, {})
        ingest(config, store, lambda *_: None)
        warm_up(config)
        started, used = time.monotonic(), _processor_seconds()
        train(config, trainers=1, environ=dict(os.environ), watch=lambda _: None)
        wall_seconds, processor_seconds = time.monotonic() - started, _processor_seconds() - used
        checkpoint = Checkpoint.read(store, config.job)
        splits = {
            split: evaluate(store, checkpoint, split, filtered=True, per_relation=False, clock=SystemClock()).both
            for split in ("valid", "test")
        }
    return {
        "example": name,
        "seed": config.seed,
        "mrr": round(splits["test"].mrr, 4),
        "hits_at_1": round(splits["test"].hits_at_1, 4),
        "hits_at_10": round(splits["test"].hits_at_10, 4),
        "valid_mrr": round(splits["valid"].mrr, 4),
        "wall_seconds": round(wall_seconds),
        "processor_seconds": round(processor_seconds),
        "config_sha256": config.digest(),
    }


def _processor_seconds() -> float:
    """Of this process and of all its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _runs() -> list[dict[str, object]]:
    """What is on record now: another run of this script may have added to it."""
    found: list[dict[str, object]] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.examples:
        for seed in range(1, arguments.seeds + 1):
            config = load_job(ROOT / "examples" / f"{name}.yaml").model_copy(update={"seed": seed})
            if any((one["example"], one["config_sha256"]) == (name, config.digest()) for one in _runs()):
                continue
            found = run(name, config)
            print(json.dumps(found), flush=True)
            machine = f"{os.cpu_count()} cores, {platform.machine()}"
            RESULTS.write_text(json.dumps({"machine": machine, "runs": [*_runs(), found]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
