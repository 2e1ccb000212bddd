"""Small random models for the tests of evaluation."""

from collections.abc import Mapping

import numpy as np

from graphbed.config.choices import Comparator, Operator
from graphbed.config.job import EntityConfig, JobConfig, RelationConfig
from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.scoring import TrainedModel
from graphbed.graph.schema import EntityTable, GraphSchema, RelationEntry, StoredFile
from graphbed.model.parameters import initial_parameters
from graphbed.model.relations import RelationGroups

DIMENSION = 6


def job(relations: list[RelationConfig], types: Mapping[str, int], comparator: Comparator) -> JobConfig:
    """A job over the given entity types (type → partitions)."""
    return JobConfig(
        job="j",
        graph="g",
        entities={name: EntityConfig(num_partitions=parts) for name, parts in types.items()},
        relations=relations,
        dimension=DIMENSION,
        comparator=comparator,
    )


def schema(relations: list[RelationEntry], counts: Mapping[str, list[int]]) -> GraphSchema:
    """A graph of which only the counts matter."""

    def file(rows: int) -> StoredFile:
        return StoredFile(key="k", size=0, sha256="", rows=rows)

    return GraphSchema(
        name="g",
        seed=0,
        entities={kind: EntityTable(partitions=tuple(map(file, rows))) for kind, rows in counts.items()},
        relations=tuple(relations),
        relation_file=file(len(relations)),
        splits={},
        weighted=False,
    )


def random_model(
    operator: Operator, comparator: Comparator, *, reciprocal: bool, counts: Mapping[str, list[int]], seed: int
) -> TrainedModel:
    """Two relations user → item in one group, one user → user in another; rows of two users and two items are twins."""
    generator = np.random.default_rng(seed)
    entries = [
        RelationConfig(name="*", lhs="user", rhs="item", operator=operator, reciprocal=reciprocal),
        RelationConfig(name="c", lhs="user", rhs="user", operator=operator, reciprocal=reciprocal),
    ]
    config = job(entries, {kind: len(rows) for kind, rows in counts.items()}, comparator)
    graph = schema(
        [
            RelationEntry(name="a", lhs="user", rhs="item"),
            RelationEntry(name="b", lhs="user", rhs="item"),
            RelationEntry(name="c", lhs="user", rhs="user"),
        ],
        counts,
    )
    tables = {
        kind: [generator.standard_normal((count, DIMENSION)).astype(np.float32) for count in rows]
        for kind, rows in counts.items()
    }
    for parts in tables.values():
        parts[-1][-1] = parts[0][0]
    parameters = {
        name: generator.standard_normal(values.shape).astype(np.float32)
        for name, values in initial_parameters(config, RelationGroups.from_schema(config, graph)).items()
    }
    return TrainedModel.build(config, graph, tables, parameters)


def random_edges(model: TrainedModel, count: int, seed: int) -> SplitEdges:
    """Edges of all three relations between random entities, some twice."""
    generator = np.random.default_rng(seed)
    relation = generator.integers(0, 3, count).astype(np.int32)
    users, items = model.size("user"), model.size("item")
    lhs = generator.integers(0, users, count)
    rhs = np.where(relation == 2, generator.integers(0, users, count), generator.integers(0, items, count))
    return SplitEdges(lhs=lhs, relation=relation, rhs=rhs)
