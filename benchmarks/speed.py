"""Edges per second of every kind of kernel against this machine's floors: table and picture of docs/performance.md.

    python benchmarks/speed.py [--seconds 10] [--again NAME …] [--out benchmarks/results/speed.json]

Each setting is measured as `graphbed bench` does and stored at once; a run that was interrupted goes on with the rest.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from threadpoolctl import threadpool_info

from graphbed.benchmark.floors import CpuFloors
from graphbed.benchmark.graph_s import graph_s
from graphbed.benchmark.measure import measure
from graphbed.benchmark.subject import Subject, job_subject, synthetic_subject
from graphbed.benchmark.workload import Workload
from graphbed.config.load import parse_job
from graphbed.datasets.catalog import dataset_path
from graphbed.graph.edges import EdgeArrays
from graphbed.ingest.run import ingest
from graphbed.model.cpu_kernel import cpu_kernel
from graphbed.model.threads import single_threaded_blas
from graphbed.storage.address import open_store
from graphbed.storage.graph_document import read_graph

RESULTS = Path(__file__).parent / "results" / "speed.json"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "speed.png"

NODES = 1_000_000
FULL, SHORT = 10_000_000, 2_000_000
"""Edges of graph S, and of a shorter one where the number of edges does not matter."""
NEGATIVES, DIMENSIONS = (10, 100, 500, 1000), (50, 100, 200, 400)
"""Of the picture."""

Setting = Mapping[str, Any]
"""Keys of a job, and `operator`, `reciprocal`, `threads`, `edges`, `graph`."""

MAIN: dict[str, Setting] = {
    "ranking": {"edges": FULL},
    "softmax": {"edges": FULL, "loss_fn": "softmax"},
    "ranking, 1 thread": {"edges": FULL, "threads": 1},
    "FB15k-237": {
        "graph": "fb15k-237",
        "dimension": 400,
        "num_uniform_negs": 1000,
        "loss_fn": "softmax",
        "operator": "complex_diagonal",
        "reciprocal": True,
        "regularization_coef": 0.05,
    },
}
KINDS: dict[str, Setting] = {
    "complex_diagonal, softmax": {"operator": "complex_diagonal", "loss_fn": "softmax"},
    "translation, cos, logistic": {"operator": "translation", "comparator": "cos", "loss_fn": "logistic"},
    "l2, self_adversarial": {"comparator": "l2", "loss_fn": "self_adversarial"},
    "rotation, squared_l2": {"operator": "rotation", "comparator": "squared_l2"},
    "diagonal, softmax": {"operator": "diagonal", "loss_fn": "softmax"},
}
GRID: dict[str, Setting] = {
    f"D {dimension}, {negatives} negatives": {
        "dimension": dimension,
        "num_batch_negs": negatives // 2,
        "num_uniform_negs": negatives // 2,
    }
    for dimension in DIMENSIONS
    for negatives in NEGATIVES
    if dimension == 100 or negatives == 100
}


def document(setting: Setting) -> dict[str, Any]:
    """The job of a setting."""
    folder = dataset_path("fb15k-237")
    relation = {key: setting[key] for key in ("operator", "reciprocal") if key in setting}
    chosen = {key: value for key, value in setting.items() if key not in (*relation, "threads", "edges")}
    return {
        "job": "speed",
        "graph": "s",
        "entities": {"node": {}},
        "relations": [{"name": "*", "lhs": "node", "rhs": "node", **relation}],
        "edges": {"train": {"files": [str(folder / "train.txt.xz")]}},
        "dimension": 100,
        "comparator": "dot",
        "loss_fn": "ranking",
        "num_batch_negs": 50,
        "num_uniform_negs": 50,
        "lr": 0.1,
        **chosen,
    }


@cache
def edges_of_s(edges: int) -> EdgeArrays:
    return graph_s(NODES, edges, 1)


def subject(setting: Setting) -> Subject:
    """The edges of a setting: FB15k-237, ingested into a folder for the moment, or graph S."""
    config = parse_job(yaml.safe_dump(document(setting)), source="a setting")
    if config.graph == "s":
        small = synthetic_subject(config, nodes=10, edges=10, relations=1)
        return replace(small, rows={"node": NODES}, edges=edges_of_s(setting.get("edges", SHORT)))
    with tempfile.TemporaryDirectory() as folder:
        config = config.model_copy(update={"store": folder})
        store = open_store(folder, os.environ)
        ingest(config, store, lambda *_: None)
        return job_subject(store, config, read_graph(store, config.graph))


def cores() -> int:
    return len(os.sched_getaffinity(0))


def measured(setting: Setting, seconds: float) -> dict[str, Any]:
    workload = Workload.create(subject(setting))
    threads = setting.get("threads", cores())
    floors = CpuFloors(workload, threads=threads)
    report = measure(workload, cpu_kernel(workload.spec), floors, threads=threads, seconds=seconds)
    hyper = workload.hyper
    return {
        "kernel": workload.spec.name,
        "threads": threads,
        "dimension": workload.lhs.embeddings.shape[1],
        "batch_negatives": hyper.batch_negatives,
        "uniform_negatives": hyper.uniform_negatives,
        "date": date.today().isoformat(),
        "load": os.getloadavg()[0],
        **asdict(report),
    }


def machine() -> dict[str, Any]:
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": model[0].partition(":")[2].strip() if model else platform.processor(),
        "cores": cores(),
        "blas": sorted({pool.get("architecture", "") for pool in threadpool_info()}),
    }


def draw(results: Mapping[str, Any]) -> None:
    """The picture: edges a second against negatives and against the dimension, with both floors."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [results[name] for name in GRID if name in results]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), dpi=110, sharey=True)
    panels = (
        ("negatives a side (D 100)", lambda row: row["batch_negatives"] + row["uniform_negatives"], "dimension"),
        ("dimension (100 negatives a side)", lambda row: row["dimension"], None),
    )
    for axis, (label, x_of, fixed) in zip(axes, panels, strict=True):
        chosen = [
            row
            for row in rows
            if (row["dimension"] == 100 if fixed else row["batch_negatives"] + row["uniform_negatives"] == 100)
        ]
        chosen.sort(key=x_of)
        for key, name, style in (
            ("floor_edges_per_second", "floor: arithmetic", "--"),
            ("floor_with_bytes_edges_per_second", "floor: arithmetic and rows", ":"),
            ("edges_per_second", "measured", "o-"),
        ):
            axis.plot([x_of(row) for row in chosen], [row[key] for row in chosen], style, label=name)
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel(f"edges a second, {cores()} threads")
    axes[0].legend()
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--again", nargs="*", default=[], help="settings to measure although they have been")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    with single_threaded_blas():
        results["machine"] = machine()
        for name, setting in {**MAIN, **KINDS, **GRID}.items():
            if name in results and name not in options.again:
                continue
            results[name] = measured(setting, options.seconds)
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            row = results[name]
            print(f"{name:32} {row['edges_per_second']:12,.0f} edges/s  {row['share_of_floor']:.0%}", flush=True)
    draw(results)


if __name__ == "__main__":
    main()
