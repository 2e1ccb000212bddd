"""The same job with other numbers of partitions and trainers: does the quality stay? Writes results/quality.json.

.venv/bin/python benchmarks/quality.py [--seeds 3] [--out benchmarks/results/quality.json]
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.fb15k_237 import job
from graphbed.clock import SystemClock
from graphbed.evaluation.evaluate import evaluate
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.address import open_store
from services.standalone.run import train

CORES = 2
JOB = {"dimension": 100, "num_batch_negs": 128, "num_uniform_negs": 300}
AS_EXAMPLES = {"operator_init": "random", "optimizer": "adagrad", "lr": 0.1}
VARIANTS: dict[str, dict[str, object]] = {
    "linear": {**AS_EXAMPLES, "num_epochs": 12, "lr_schedule": "linear"},
    "random": AS_EXAMPLES,
    "identity": {},
}
"""The job in three variants: as the examples have it, with a learning rate that falls to zero or that stops at 0.43 of
its first value; and with identity operators, Adagrad by row and η = 0.2."""
SETTINGS = [
    *(("linear", 1, 1, 1), ("linear", 4, 4, 1), ("linear", 8, 4, 1), ("linear", 16, 8, 1)),
    *(("random", 1, 1, 1), ("random", 4, 4, 1), ("random", 8, 4, 1), ("random", 16, 8, 1), ("random", 16, 4, 1)),
    *(("identity", 1, 1, 1), ("identity", 4, 4, 1), ("identity", 8, 4, 1), ("identity", 8, 8, 1)),
    *(("identity", 8, 8, 2), ("identity", 8, 8, 4), ("identity", 4, 4, 2)),
]
KEYS = ("variant", "partitions", "groups", "trainers")


def run(*, variant: str, partitions: int, groups: int, trainers: int, seed: int) -> dict[str, object]:
    """Train and rank; the threads of all trainers together are two wherever that is possible."""
    own = {**VARIANTS[variant], "trainer": {"threads": max(CORES // trainers, 1)}}
    with tempfile.TemporaryDirectory() as folder:
        config = job(folder, partitions=partitions, groups=groups, seed=seed, **JOB, **own)
        store = open_store(config.store, {})
        ingest(config, store, lambda *_: None)
        started = time.monotonic()
        training = train(config, trainers=trainers, environ=dict(os.environ), watch=lambda _: None)
        seconds = time.monotonic() - started
        checkpoint = Checkpoint.read(store, config.job)
        result = evaluate(store, checkpoint, "test", filtered=True, per_relation=False, clock=SystemClock())
    return {
        "variant": variant,
        "partitions": partitions,
        "groups": groups,
        "trainers": trainers,
        "seed": seed,
        "mrr": result.both.mrr,
        "hits_at_10": result.both.hits_at_10,
        "last_loss_per_edge": training.manifest.epochs[-1].loss / training.manifest.epochs[-1].edges,
        "train_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "quality.json")
    arguments = parser.parse_args()
    runs = json.loads(arguments.out.read_text())["runs"] if arguments.out.exists() else []
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    for seed in range(1, arguments.seeds + 1):
        for setting in SETTINGS:
            if any((_setting(one), one["seed"]) == (setting, seed) for one in runs):
                continue
            runs.append(run(**dict(zip(KEYS, setting, strict=True)), seed=seed))
            print(json.dumps(runs[-1]), flush=True)
            # After each run, so that an interrupted benchmark goes on where it was.
            arguments.out.write_text(json.dumps({"machine": machine, "runs": runs}, indent=1) + "\n")
    show(runs)


def _setting(one: dict[str, object]) -> tuple[object, ...]:
    return tuple(one[key] for key in KEYS)


def show(runs: list[dict[str, object]]) -> None:
    print("| variant | partitions | groups | trainers | MRR, mean of seeds | range | Hits@10 | loss per edge |")
    print("|---|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        chosen = [one for one in runs if _setting(one) == setting]
        mrr = [float(str(one["mrr"])) for one in chosen]
        hits = statistics.mean(float(str(one["hits_at_10"])) for one in chosen)
        loss = statistics.mean(float(str(one["last_loss_per_edge"])) for one in chosen)
        columns = (
            *(*setting, f"{statistics.mean(mrr):.4f}"),
            *(f"{min(mrr):.4f}, {max(mrr):.4f}", f"{hits:.4f}", f"{loss:.3f}"),
        )
        print("| " + " | ".join(map(str, columns)) + " |")


if __name__ == "__main__":
    main()
