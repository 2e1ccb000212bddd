"""Do negatives from partitions that are not leased pay? FB15k-237 in 16 partitions, with and without them.

    python benchmarks/remote_negatives.py [--seeds 3] [--out benchmarks/results/remote_negatives.json]

Leases are trained one after the other in this process, by one thread, as a trainer trains them, in a random order. The
remote rows of a lease are drawn anew from all partitions that it does not hold, and read as they are at its beginning;
they take the place of as many uniform negatives. Each run is stored at once; a run that was interrupted goes on.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.fb15k_237 import job
from graphbed.config.job import JobConfig
from graphbed.evaluation.edges import SplitEdges, load_edges
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.metrics import RankMetrics
from graphbed.evaluation.ranking import rank
from graphbed.evaluation.scoring import SIDES, TrainedModel
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Partition
from graphbed.graph.schema import GraphSchema
from graphbed.ingest.run import ingest
from graphbed.model.cpu_kernel import cpu_kernel
from graphbed.model.edges import order_edges
from graphbed.model.kernel import Control, Hyper, KernelSpec, Table
from graphbed.model.parameters import group_parameters, initial_parameters
from graphbed.model.relations import RelationGroups
from graphbed.model.tables import initial_partition
from graphbed.model.threads import single_threaded_blas
from graphbed.storage.address import open_store
from graphbed.storage.graph_document import read_graph
from graphbed.storage.objects import ObjectStore
from services.lockserver.dealing import deal
from services.lockserver.plan import Plan

RESULTS = Path(__file__).parent / "results" / "remote_negatives.json"
JOB = {"dimension": 64, "num_batch_negs": 64, "num_uniform_negs": 200}
REMOTE_ROWS = 1000
SETTINGS = [(1, 1, 0), (16, 8, 0), (16, 8, 100), (16, 16, 0), (16, 16, 100)]
"""(partitions, groups, remote negatives of the 200 drawn ones)."""


def leases(plan: Plan, epoch: int, generator: np.random.Generator) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The partitions of each lease of an epoch, and which buckets [P, P] it trains; each bucket once."""
    group_of = np.array(deal(plan, epoch).lhs)
    groups = int(group_of.max()) + 1
    pairs = list(combinations(range(groups), 2)) or [(0, 0)]
    due = np.ones((len(group_of), len(group_of)), np.bool_)
    for place in generator.permutation(len(pairs)):
        held = np.isin(group_of, pairs[place])
        buckets = due & held[:, None] & held[None, :]
        due &= ~buckets
        yield tuple(np.flatnonzero(held)), buckets


def trained(config: JobConfig, schema: GraphSchema, edges: SplitEdges, remote: int) -> TrainedModel:
    """The model after all epochs."""
    counts = schema.entities["entity"].counts
    bounds = np.cumsum([0, *counts])
    parts = [initial_partition(config, Partition("entity", index), rows) for index, rows in enumerate(counts)]
    embeddings = np.concatenate([part.embeddings for part in parts])
    sums = np.concatenate([part.sums for part in parts])
    groups = RelationGroups.from_schema(config, schema)
    parameters = initial_parameters(config, groups)
    spec, plan, generator = (
        KernelSpec.from_config(config, 0),
        Plan.from_config(config, schema),
        np.random.default_rng(0),
    )
    kernel, control = cpu_kernel(spec), Control.create()
    lhs_part, rhs_part = (np.searchsorted(bounds, ends, side="right") - 1 for ends in (edges.lhs, edges.rhs))
    for epoch in range(config.num_epochs):
        for number, (held, buckets) in enumerate(leases(plan, epoch, generator)):
            chosen = np.flatnonzero(buckets[lhs_part, rhs_part])
            own = np.concatenate([np.arange(bounds[index], bounds[index + 1]) for index in held])
            others = np.setdiff1d(np.arange(len(embeddings)), own)
            read_only = generator.choice(others, min(REMOTE_ROWS, len(others)), replace=False) if remote else others[:0]
            rows = np.concatenate([own, read_only])
            table = Table(embeddings=embeddings[rows], sums=sums[rows], read_only_rows=len(read_only))
            seed = config.seed << 32 | epoch << 16 | number
            hyper = replace(
                Hyper.from_config(config, 0, learning_rate_factor=config.learning_rate_factor(epoch)),
                remote_negatives=remote if len(read_only) else 0,
            )
            arrays = EdgeArrays.unweighted(
                np.searchsorted(own, edges.lhs[chosen]),
                groups.row[edges.relation[chosen]],
                np.searchsorted(own, edges.rhs[chosen]),
            )
            kernel.train_slice(
                order_edges(arrays, spec, hyper, seed=seed),
                lhs=table,
                rhs=table,
                parameters=group_parameters(parameters, config, 0),
                hyper=hyper,
                control=control,
                seed=seed,
            )
            embeddings[own], sums[own] = table.embeddings[: len(own)], table.sums[: len(own)]
    assert not control.failed[0] and control.progress[0] == config.num_epochs * len(edges)
    return TrainedModel.build(config, schema, {"entity": np.split(embeddings, bounds[1:-1])}, parameters)


def evaluated(model: TrainedModel, store: ObjectStore, schema: GraphSchema) -> RankMetrics:
    """Filtered ranks of both sides of the test edges."""
    test, everything = load_edges(store, schema, ["test"]), load_edges(store, schema, schema.splits)
    return RankMetrics.of(
        *(rank(model, test, sought, KnownEntities.build(everything, sought), lambda _: None) for sought in SIDES)
    )


def run(*, partitions: int, groups: int, remote: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config = job(folder, partitions=partitions, groups=groups, seed=seed, **JOB)
        store = open_store(folder, os.environ)
        ingest(config, store, lambda *_: None)
        schema = read_graph(store, config.graph)
        model = trained(config, schema, load_edges(store, schema, ["train"]), remote)
        metrics = evaluated(model, store, schema)
    return {
        "partitions": partitions,
        "groups": groups,
        "remote": remote,
        "seed": seed,
        "mrr": metrics.mrr,
        "hits_at_10": metrics.hits_at_10,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    runs: list[dict[str, Any]] = json.loads(options.out.read_text()) if options.out.exists() else []
    finished = {(one["partitions"], one["groups"], one["remote"], one["seed"]) for one in runs}
    with single_threaded_blas():
        for partitions, groups, remote in SETTINGS:
            for seed in range(1, options.seeds + 1):
                if (partitions, groups, remote, seed) in finished:
                    continue
                runs.append(run(partitions=partitions, groups=groups, remote=remote, seed=seed))
                print(json.dumps(runs[-1]), flush=True)
                options.out.write_text(json.dumps(runs, indent=1) + "\n")
    print("| partitions | groups | remote negatives | MRR, mean of seeds | smallest, largest | Hits@10 |")
    print("|---|---|---|---|---|---|")
    for setting in SETTINGS:
        chosen = [one for one in runs if (one["partitions"], one["groups"], one["remote"]) == setting]
        mrr, hits = [one["mrr"] for one in chosen], mean(one["hits_at_10"] for one in chosen)
        columns = (*setting, f"{mean(mrr):.4f}", f"{min(mrr):.4f}, {max(mrr):.4f}", f"{hits:.4f}")
        print("| " + " | ".join(map(str, columns)) + " |")


if __name__ == "__main__":
    main()
