"""Evaluation of a checkpoint on a split of its graph."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graphbed.clock import Clock
from graphbed.config.formulas import score_formulas
from graphbed.evaluation.edges import SplitEdges, load_edges
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.metrics import Evaluation, Protocol, RankMetrics, RelationMetrics
from graphbed.evaluation.ranking import rank
from graphbed.evaluation.scoring import SIDES, TrainedModel
from graphbed.graph.schema import GraphSchema
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.objects import ObjectStore

Watch = Callable[[int, int], None]
"""Told how many ranks are done, and how many there are."""


def evaluate(
    store: ObjectStore,
    checkpoint: Checkpoint,
    split: str,
    *,
    filtered: bool,
    per_relation: bool,
    clock: Clock,
    watch: Watch = lambda *_: None,
) -> Evaluation:
    """Rank both sides of every edge of `split` among all entities of their types; filtered by all splits.

    Raises InputError for an unknown split, ObjectCorrupt or BadPartition for damaged data.
    """
    began = clock.monotonic()
    schema = checkpoint.schema
    edges = load_edges(store, schema, [split])
    everything = load_edges(store, schema, schema.splits) if filtered else None
    model = TrainedModel.from_checkpoint(checkpoint)
    done = 0

    def step(ranks: int) -> None:
        nonlocal done
        done += ranks
        watch(done, 2 * len(edges))

    lhs, rhs = (
        rank(model, edges, sought, None if everything is None else KnownEntities.build(everything, sought), step)
        for sought in SIDES
    )
    return Evaluation(
        both=RankMetrics.of(lhs, rhs),
        lhs=RankMetrics.of(lhs),
        rhs=RankMetrics.of(rhs),
        per_relation=by_relation(schema, edges, lhs, rhs) if per_relation else None,
        protocol=Protocol(
            job=checkpoint.config.job,
            checkpoint=checkpoint.manifest.sequence,
            graph=schema.name,
            seed=checkpoint.config.seed,
            split=split,
            edges=len(edges),
            candidates="all",
            filtered=filtered,
            filter_splits=tuple(schema.splits) if filtered else (),
            sides=SIDES,
            ties="mean",
            nan="last",
            scores=score_formulas(checkpoint.config),
        ),
        seconds=clock.monotonic() - began,
    )


def by_relation(
    schema: GraphSchema, edges: SplitEdges, lhs: NDArray[np.float64], rhs: NDArray[np.float64]
) -> list[RelationMetrics]:
    """Metrics of each relation that occurs, the most frequent first."""
    relations, counts = np.unique(edges.relation, return_counts=True)
    return [
        RelationMetrics(
            relation=schema.relations[relation].name,
            metrics=RankMetrics.of(lhs[edges.relation == relation], rhs[edges.relation == relation]),
        )
        for relation in relations[np.argsort(-counts, kind="stable")]
    ]
