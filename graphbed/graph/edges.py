"""Edges in memory: the columns of a bucket."""

# Shapes: E edges.

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeArrays:
    """Edges column by column; offsets count inside the partitions of the bucket they belong to."""

    lhs: NDArray[np.int64]
    """[E] offset of the left entity inside its partition."""
    relation: NDArray[np.int32]
    """[E] relation id, the place in the graph's list of relations."""
    rhs: NDArray[np.int64]
    """[E] offset of the right entity inside its partition."""
    weight: NDArray[np.float32]
    """[E] finite and ≥ 0; ones if the graph has no weights."""

    def __post_init__(self) -> None:
        wanted = {"lhs": np.int64, "relation": np.int32, "rhs": np.int64, "weight": np.float32}
        for name, dtype in wanted.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != (len(self.lhs),):
                raise ValueError(f"column {name} is {column.dtype}{column.shape}, not {np.dtype(dtype)}[E]")

    def __len__(self) -> int:
        return len(self.lhs)

    def take(self, which: NDArray[Any] | slice) -> Self:
        """The edges that `which` selects (indices, a mask or a slice), in its order; a slice copies nothing."""
        return type(self)(
            lhs=self.lhs[which], relation=self.relation[which], rhs=self.rhs[which], weight=self.weight[which]
        )

    @classmethod
    def unweighted(cls, lhs: NDArray[np.int64], relation: NDArray[np.int32], rhs: NDArray[np.int64]) -> Self:
        """Edges that all weigh 1."""
        return cls(lhs=lhs, relation=relation, rhs=rhs, weight=np.ones(len(lhs), dtype=np.float32))
