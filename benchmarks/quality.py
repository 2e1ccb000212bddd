"""The same job with other numbers of partitions and trainers: does the quality stay? Writes results/quality.json.

.venv/bin/python benchmarks/quality.py [--seeds 3] [--out benchmarks/results/quality.json]
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import yaml

from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.datasets.catalog import dataset_path
from graphbed.evaluation.evaluate import evaluate
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.address import open_store
from services.standalone.run import train

SETTINGS = [(1, 1, 1), (4, 4, 1), (8, 4, 1), (16, 4, 1), (16, 8, 1), (8, 8, 1), (8, 8, 2), (8, 8, 4), (4, 4, 2)]
"""(partitions, groups, trainers); the threads of all trainers together are two wherever that is possible."""


def job(store: str, *, partitions: int, groups: int, trainers: int, seed: int) -> JobConfig:
    folder = dataset_path("fb15k-237")
    document = {
        "job": "quality",
        "graph": "fb15k-237",
        "store": store,
        "entities": {"entity": {"num_partitions": partitions}},
        "relations": [
            {"name": "*", "lhs": "entity", "rhs": "entity", "operator": "complex_diagonal", "reciprocal": True}
        ],
        "edges": {split: {"files": [str(folder / f"{split}.txt.xz")]} for split in ("train", "valid", "test")},
        "dimension": 100,
        "comparator": "dot",
        "loss_fn": "softmax",
        "regularization_coef": 0.05,
        "num_groups": groups,
        "num_epochs": 8,
        "num_batch_negs": 128,
        "num_uniform_negs": 300,
        "lr": 0.2,
        "lr_decay": 0.9,
        "seed": seed,
        "trainer": {"threads": max(2 // trainers, 1)},
    }
    return parse_job(yaml.safe_dump(document), source="quality")


def run(*, partitions: int, groups: int, trainers: int, seed: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        config = job(folder, partitions=partitions, groups=groups, trainers=trainers, seed=seed)
        store = open_store(config.store, {})
        ingest(config, store, lambda *_: None)
        started = time.monotonic()
        training = train(config, trainers=trainers, environ=dict(os.environ), watch=lambda _: None)
        seconds = time.monotonic() - started
        checkpoint = Checkpoint.read(store, config.job)
        result = evaluate(store, checkpoint, "test", filtered=True, per_relation=False, clock=SystemClock())
    loss = training.manifest.epochs[-1].loss / training.manifest.epochs[-1].edges
    return {
        "partitions": partitions,
        "groups": groups,
        "trainers": trainers,
        "seed": seed,
        "mrr": result.both.mrr,
        "hits_at_10": result.both.hits_at_10,
        "last_loss_per_edge": loss,
        "train_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "quality.json")
    arguments = parser.parse_args()
    runs = json.loads(arguments.out.read_text())["runs"] if arguments.out.exists() else []
    finished = {(r["partitions"], r["groups"], r["trainers"], r["seed"]) for r in runs}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    for seed in range(1, arguments.seeds + 1):
        for partitions, groups, trainers in SETTINGS:
            if (partitions, groups, trainers, seed) in finished:
                continue
            runs.append(run(partitions=partitions, groups=groups, trainers=trainers, seed=seed))
            print(json.dumps(runs[-1]), flush=True)
            # After each run, so that an interrupted benchmark goes on where it was.
            arguments.out.write_text(json.dumps({"machine": machine, "runs": runs}, indent=1) + "\n")
    show(runs)


def show(runs: list[dict[str, object]]) -> None:
    print("| partitions | groups | trainers | MRR, mean of seeds | smallest, largest | Hits@10 | loss per edge |")
    print("|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        chosen = [r for r in runs if (r["partitions"], r["groups"], r["trainers"]) == setting]
        mrr = [float(str(r["mrr"])) for r in chosen]
        hits = statistics.mean(float(str(r["hits_at_10"])) for r in chosen)
        loss = statistics.mean(float(str(r["last_loss_per_edge"])) for r in chosen)
        print(
            f"| {setting[0]} | {setting[1]} | {setting[2]} | {statistics.mean(mrr):.4f} "
            f"| {min(mrr):.4f}, {max(mrr):.4f} | {hits:.4f} | {loss:.3f} |"
        )


if __name__ == "__main__":
    main()
