"""Scores of a trained model, for any query against any candidates."""

# Shapes: B queries of one batch, V candidates, D dimension.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from graphbed.config.choices import Comparator, Operator
from graphbed.config.job import JobConfig, RelationConfig
from graphbed.graph.schema import GraphSchema
from graphbed.model.checkpoint import Checkpoint
from graphbed.model.parameters import global_names, values_name
from graphbed.model.relations import RelationGroups

Side = Literal["lhs", "rhs"]
"""The side whose entity is sought."""

SIDES: tuple[Side, Side] = ("lhs", "rhs")
COS_EPSILON = 1e-12
"""Added to the squared length of a vector before it is scaled to length 1, as in training."""
DISTANCE_EPSILON = 1e-12
"""Added to the squares under a distance's root, as in training."""


def other(side: Side) -> Side:
    """The side that is given when `side` is sought."""
    return "rhs" if side == "lhs" else "lhs"


def as_double(array: NDArray[np.float32]) -> torch.Tensor:
    """A float64 copy: stored arrays are read-only, which torch does not know."""
    return torch.from_numpy(array.astype(np.float64))


def operate(operator: Operator, x_BD: torch.Tensor, values_BD: torch.Tensor) -> torch.Tensor:
    """g_r(x) [B, D]. Formulas: docs/model.md; a complex vector is D/2 real parts, then D/2 imaginary ones."""
    match operator:
        case Operator.NONE:
            return x_BD
        case Operator.TRANSLATION:
            return x_BD + values_BD
        case Operator.DIAGONAL:
            return x_BD * values_BD
        case Operator.LINEAR | Operator.AFFINE:
            dimension = x_BD.shape[1]
            matrices = values_BD[:, : dimension * dimension].reshape(-1, dimension, dimension)
            moved = x_BD @ matrices[0].T if len(matrices) == 1 else torch.einsum("bij,bj->bi", matrices, x_BD)
            return moved + values_BD[:, dimension * dimension :] if operator is Operator.AFFINE else moved
        case Operator.COMPLEX_DIAGONAL:
            return _times(x_BD, *values_BD.chunk(2, dim=-1))
        case Operator.ROTATION:
            return _times(x_BD, torch.cos(values_BD), torch.sin(values_BD))


def _times(x_BD: torch.Tensor, real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
    x_real, x_imag = x_BD.chunk(2, dim=-1)
    return torch.cat([x_real * real - x_imag * imaginary, x_real * imaginary + x_imag * real], dim=-1)


def compare(comparator: Comparator, query_BD: torch.Tensor, candidate_VD: torch.Tensor) -> torch.Tensor:
    """Scores [B, V] of what `comparable` made of queries and candidates."""
    match comparator:
        case Comparator.DOT | Comparator.COS:
            return query_BD @ candidate_VD.T
        case Comparator.L1:
            return -torch.cdist(query_BD, candidate_VD, p=1)
        case Comparator.COMPLEX_L1:
            return _complex_l1(query_BD, candidate_VD)
        case Comparator.L2 | Comparator.SQUARED_L2:
            squares = (query_BD * query_BD).sum(1)[:, None] + (candidate_VD * candidate_VD).sum(1)[None, :]
            squares = (squares - 2 * (query_BD @ candidate_VD.T)).clamp(min=0)
            return -squares if comparator is Comparator.SQUARED_L2 else -torch.sqrt(squares + DISTANCE_EPSILON)


def _complex_l1(query_BD: torch.Tensor, candidate_VD: torch.Tensor) -> torch.Tensor:
    """One complex number after the other: all differences at once would not fit."""
    half = query_BD.shape[1] // 2
    columns_DV = candidate_VD.T.contiguous()
    scores_BV = torch.zeros((len(query_BD), len(candidate_VD)), dtype=query_BD.dtype)
    for d in range(half):
        real = query_BD[:, d, None] - columns_DV[None, d]
        imaginary = query_BD[:, half + d, None] - columns_DV[None, half + d]
        squares = real.square_().add_(imaginary.square_()).add_(DISTANCE_EPSILON)
        scores_BV.sub_(squares.sqrt_())
    return scores_BV


def comparable(comparator: Comparator, x_BD: torch.Tensor) -> torch.Tensor:
    """Vectors [B, D] as `compare` takes them."""
    match comparator:
        case Comparator.COS:
            return x_BD * torch.rsqrt((x_BD * x_BD).sum(dim=-1, keepdim=True) + COS_EPSILON)
        case _:
            return x_BD


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """The tables and parameters of one checkpoint, and how they make a score.

    An entity's id counts through the partitions of its type: partition 0 first. Tables, parameters and what operators
    make of candidates are float32; queries pass operators in float64, and are multiplied with candidates in float64.
    """

    comparator: Comparator
    bias: bool
    groups: RelationGroups
    tables: Mapping[str, tuple[NDArray[np.float32], ...]]
    """Entity type → one [V, D] for each partition, with the type's global embedding if it has one."""
    parameters: Mapping[str, NDArray[np.float32]]
    """As graphbed.model.parameters names them; [Rg, D]."""

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """Read all tables of `checkpoint`; raises ObjectCorrupt or BadPartition for one that was damaged."""
        tables = {kind: checkpoint.embeddings(kind) for kind in checkpoint.schema.entities}
        return cls.build(checkpoint.config, checkpoint.schema, tables, checkpoint.parameters)

    @classmethod
    def build(
        cls,
        config: JobConfig,
        schema: GraphSchema,
        tables: Mapping[str, list[NDArray[np.float32]]],
        parameters: Mapping[str, NDArray[np.float32]],
    ) -> Self:
        """From arrays: each type's partitions [V, D] in order, and the parameter tensors by name."""
        shared = {kind: parameters.get(global_names(kind)[0]) for kind in tables}
        return cls(
            comparator=config.comparator,
            bias=config.bias,
            groups=RelationGroups.from_schema(config, schema),
            tables={
                kind: tuple(parts) if (vector := shared[kind]) is None else tuple(part + vector for part in parts)
                for kind, parts in tables.items()
            },
            parameters=parameters,
        )

    def entry(self, relation: int) -> RelationConfig:
        """The configuration of a relation."""
        return self.groups.entries[int(self.groups.group[relation])]

    def entity_type(self, relation: int, side: Side) -> str:
        """The type of a relation's entities on `side`."""
        entry = self.entry(relation)
        return entry.lhs if side == "lhs" else entry.rhs

    def size(self, entity_type: str) -> int:
        """Entities of a type."""
        return sum(len(table) for table in self.tables[entity_type])

    def rows(self, entity_type: str, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Raw embeddings [B, D] of the entities `ids` [B]."""
        tables = self.tables[entity_type]
        bounds = np.cumsum([0] + [len(table) for table in tables])
        part = np.searchsorted(bounds, ids, side="right") - 1
        rows = np.empty((len(ids), tables[0].shape[1]), np.float32)
        for index in np.unique(part):
            inside = np.flatnonzero(part == index)
            rows[inside] = tables[index][ids[inside] - bounds[index]]
        return rows

    def changes_candidates(self, relation: int, sought: Side) -> bool:
        """Whether the candidates pass the relation's operator: only right sides of plain relations do."""
        entry = self.entry(relation)
        return sought == "rhs" and not entry.reciprocal and entry.operator is not Operator.NONE

    def queries(self, sought: Side, relations: NDArray[np.int32], given: NDArray[np.int64]) -> torch.Tensor:
        """What the candidates are compared with, [B, D], for relations [B] of one group and given entities [B].

        Reciprocal: g_r(l) when right sides are sought, h_r(t) when left ones are. Plain: l, and g_r(t).
        """
        entry = self.entry(relations[0])
        vectors = as_double(self.rows(self.entity_type(relations[0], other(sought)), given))
        if entry.reciprocal:
            vectors = operate(entry.operator, vectors, self._values(relations, sought))
        elif sought == "lhs":
            vectors = operate(entry.operator, vectors, self._values(relations, "rhs"))
        return self._comparable(vectors)

    def scores(self, queries: torch.Tensor, candidates: torch.Tensor) -> NDArray[np.float32]:
        """Scores [B, V] of what `queries` and `candidates` gave, computed in float64 and rounded to float32."""
        first = int(self.bias)
        scores = compare(self.comparator, queries[:, first:], candidates[:, first:])
        if self.bias:
            scores = scores + queries[:, :1] + candidates[None, :, 0]
        rounded: NDArray[np.float32] = scores.float().numpy()
        return rounded

    def _comparable(self, vectors: torch.Tensor) -> torch.Tensor:
        if not self.bias:
            return comparable(self.comparator, vectors)
        return torch.cat([vectors[:, :1], comparable(self.comparator, vectors[:, 1:])], dim=1)

    def candidates(self, sought: Side, relation: int, table_VD: NDArray[np.float32]) -> torch.Tensor:
        """What the queries of `relation` are compared with, [V, D] in float64."""
        return self._comparable(as_double(self.operated(sought, relation, table_VD)))

    def operated(self, sought: Side, relation: int, table_VD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Candidates of `relation` [V, D] before the comparator: raw rows, or g_r of them for plain relations."""
        if not self.changes_candidates(relation, sought):
            return table_VD
        operator = self.entry(relation).operator
        values = self._values(np.array([relation], dtype=np.int32), "rhs")
        if operator in (Operator.LINEAR, Operator.AFFINE):
            # In a float32 product the last bit of a row would depend on its place.
            vectors = operate(operator, as_double(table_VD), values).float()
        else:
            # Element by element it does not, and a whole table passes the operator for each relation.
            vectors = operate(operator, torch.tensor(table_VD), values.float())
        rows: NDArray[np.float32] = vectors.numpy()
        return rows

    def _values(self, relations: NDArray[np.int32], side: Side) -> torch.Tensor:
        """Operator parameters [B, D] as float64; [B, 0] without an operator."""
        group = int(self.groups.group[relations[0]])
        if self.groups.entries[group].operator is Operator.NONE:
            return torch.empty((len(relations), 0), dtype=torch.float64)
        return as_double(self.parameters[values_name(group, side)][self.groups.row[relations]])
