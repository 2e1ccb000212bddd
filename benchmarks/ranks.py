"""Filtered ranks per second against this machine's arithmetic floor, on FB15k-237 with D 400.

    python benchmarks/ranks.py [--seconds 20] [--epochs 1] [--out benchmarks/results/ranks.json]

The floor is 2·V·D floating-point operations a rank, at the rate of NumPy's matrix product on as many threads, measured
between the ranks in the same run. The model of the first setting is trained, the others' vectors are random ones.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from graphbed.benchmark.floors import CpuFloors
from graphbed.benchmark.subject import job_subject
from graphbed.benchmark.workload import Workload
from graphbed.config.choices import Operator
from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.datasets.catalog import dataset_path
from graphbed.evaluation.edges import SplitEdges, load_edges
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.ranking import rank
from graphbed.evaluation.scoring import SIDES, Side, TrainedModel
from graphbed.graph.schema import GraphSchema
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.model.threads import single_threaded_blas
from graphbed.storage.address import open_store
from graphbed.storage.graph_document import read_graph
from services.standalone.run import train

RESULTS = Path(__file__).parent / "results" / "ranks.json"
FLOOR_SECONDS = 0.3

SETTINGS: dict[str, Mapping[str, Any]] = {
    "reciprocal complex_diagonal, dot": {"operator": "complex_diagonal", "reciprocal": True},
    "plain complex_diagonal, dot": {"operator": "complex_diagonal"},
    "reciprocal complex_diagonal, cos": {"operator": "complex_diagonal", "reciprocal": True, "comparator": "cos"},
    "translation, l2": {"operator": "translation", "comparator": "l2"},
    "l1": {"comparator": "l1", "edges": 1024},
    "complex_l1": {"comparator": "complex_l1", "edges": 1024},
}
"""Keys of a job's relations, `comparator`, and how many test edges a round ranks if not all."""
TRAINED = "reciprocal complex_diagonal, dot"


def job(setting: Mapping[str, Any], store: str, epochs: int) -> JobConfig:
    folder = dataset_path("fb15k-237")
    relation = {key: setting[key] for key in ("operator", "reciprocal") if key in setting}
    document = {
        "job": "ranks",
        "graph": "fb15k-237",
        "store": store,
        "entities": {"entity": {}},
        "relations": [{"name": "*", "lhs": "entity", "rhs": "entity", **relation}],
        "edges": {split: {"files": [str(folder / f"{split}.txt.xz")]} for split in ("train", "valid", "test")},
        "dimension": 400,
        "comparator": setting.get("comparator", "dot"),
        "loss_fn": "softmax",
        "regularization_coef": 0.05,
        "num_batch_negs": 100,
        "num_uniform_negs": 100,
        "lr": 0.2,
        "num_epochs": epochs,
        "trainer": {"threads": cores()},
    }
    return parse_job(yaml.safe_dump(document), source="a setting")


def cores() -> int:
    return len(os.sched_getaffinity(0))


def random_model(config: JobConfig, schema: GraphSchema) -> TrainedModel:
    """Vectors and parameters drawn from the normal distribution."""
    generator = np.random.default_rng(1)
    operator, dimension = config.relations[0].operator, config.dimension
    width = operator.width(dimension)
    shape = (len(schema.relations), width)
    values = (
        {}
        if operator is Operator.NONE
        else {f"relations/0/{side}/values": generator.standard_normal(shape, np.float32) for side in SIDES}
    )
    tables = {
        kind: [generator.standard_normal((rows, dimension), np.float32) for rows in table.counts]
        for kind, table in schema.entities.items()
    }
    return TrainedModel.build(config, schema, tables, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Ranks and the floor's ranks, for each second and for each second of processor time."""

    ranks: float
    ranks_per_core: float
    floor: float
    floor_per_core: float


def rounds(
    model: TrainedModel,
    edges: SplitEdges,
    known: Mapping[Side, KnownEntities],
    floors: CpuFloors,
    *,
    count: int,
    seconds: float,
) -> list[Round]:
    """At least two rounds, and as many as there are in `seconds`, each of `count` edges, both sides of which are
    ranked."""
    generator, found, end = np.random.default_rng(2), list[Round](), time.monotonic() + seconds
    (table,) = next(iter(model.tables.values()))
    operations = 2 * table.size
    while len(found) < 2 or time.monotonic() < end:
        chosen = generator.permutation(len(edges))[:count]
        portion = SplitEdges(lhs=edges.lhs[chosen], relation=edges.relation[chosen], rhs=edges.rhs[chosen])
        wall, cpu = time.perf_counter(), time.process_time()
        for sought in SIDES:
            rank(model, portion, sought, known[sought], lambda _: None)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        floor = floors.multiplied(FLOOR_SECONDS)
        ranks = len(SIDES) * len(portion)
        found.append(
            Round(
                ranks=ranks / wall,
                ranks_per_core=ranks / cpu,
                floor=floor.per_second / operations,
                floor_per_core=floor.per_core_second / operations,
            )
        )
    return found


def measured(setting: Mapping[str, Any], *, trained: bool, epochs: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config, store = job(setting, folder, epochs), open_store(folder, os.environ)
        ingest(config, store, lambda *_: None)
        schema = read_graph(store, config.graph)
        edges, everything = load_edges(store, schema, ["test"]), load_edges(store, schema, schema.splits)
        floors = CpuFloors(Workload.create(job_subject(store, config, schema)), threads=cores())
        if trained:
            train(config, trainers=1, environ=dict(os.environ), watch=lambda _: None)
            model = TrainedModel.from_checkpoint(Checkpoint.read(store, config.job))
        else:
            model = random_model(config, schema)
    cpu = time.process_time()
    known = {sought: KnownEntities.build(everything, sought) for sought in SIDES}
    index_seconds = time.process_time() - cpu
    few = SplitEdges(lhs=edges.lhs[:2], relation=edges.relation[:2], rhs=edges.rhs[:2])
    cpu = time.process_time()
    rank(model, few, "rhs", known["rhs"], lambda _: None)
    compile_seconds = time.process_time() - cpu
    found = rounds(model, edges, known, floors, count=setting.get("edges", len(edges)), seconds=seconds)
    return {
        "trained_epochs": epochs if trained else 0,
        "threads": cores(),
        "date": date.today().isoformat(),
        "load": os.getloadavg()[0],
        "ranks_per_second": median(one.ranks for one in found),
        "floor_ranks_per_second": median(one.floor for one in found),
        "share_of_floor": median(one.ranks / one.floor for one in found),
        "ranks_per_core_second": median(one.ranks_per_core for one in found),
        "share_of_floor_by_processor_time": median(one.ranks_per_core / one.floor_per_core for one in found),
        "compile_seconds": compile_seconds,
        "index_seconds": index_seconds,
        "rounds": len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--again", nargs="*", default=[], help="settings to measure although they have been")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    with single_threaded_blas():
        for name, setting in SETTINGS.items():
            if name in results and name not in options.again:
                continue
            results[name] = measured(setting, trained=name == TRAINED, epochs=options.epochs, seconds=options.seconds)
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            row = results[name]
            shares = f"{row['share_of_floor']:.0%}, {row['share_of_floor_by_processor_time']:.0%} by processor time"
            print(f"{name:34} {row['ranks_per_second']:8,.0f} ranks/s  {shares} of the floor", flush=True)


if __name__ == "__main__":
    main()
