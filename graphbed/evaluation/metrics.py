"""What is reported of many ranks, and the protocol that made them."""

# Shapes: N ranks.

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from graphbed.evaluation.scoring import Side
from graphbed.storage.evaluation_file import EvaluationRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMetrics:
    """Averages over `ranks` ranks; a tie makes a rank a multiple of one half."""

    mrr: float
    """Mean of 1 / rank."""
    mean_rank: float
    hits_at_1: float
    """Share of ranks ≤ 1."""
    hits_at_3: float
    hits_at_10: float
    ranks: int

    @classmethod
    def of(cls, *ranks: NDArray[np.float64]) -> Self:
        """Averages over all of the arrays, together at least one rank."""
        ranks_N = np.concatenate(ranks)
        return cls(
            mrr=float((1.0 / ranks_N).mean()),
            mean_rank=float(ranks_N.mean()),
            hits_at_1=float((ranks_N <= 1).mean()),
            hits_at_3=float((ranks_N <= 3).mean()),
            hits_at_10=float((ranks_N <= 10).mean()),
            ranks=len(ranks_N),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationMetrics:
    """The metrics of one relation, both sides together."""

    relation: str
    metrics: RankMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How the numbers were made: two numbers may be compared only if these agree."""

    job: str
    checkpoint: int
    """Sequence number of the manifest that was evaluated."""
    graph: str
    seed: int
    split: str
    edges: int
    """Edges ranked, each on every side; a repeated edge counts each time, weights do not count."""
    candidates: str
    """`all`: every entity of the type, whatever its partition."""
    filtered: bool
    """Whether other known true entities are left out of the candidates."""
    filter_splits: tuple[str, ...]
    """Where the known edges come from."""
    sides: tuple[Side, ...]
    ties: str
    """`mean`: rank = 1 + higher + equal / 2, the true entity itself not counted."""
    nan: str
    """`last`: below every number."""
    scores: dict[str, dict[str, str]]
    """As graphbed.config.formulas says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Metrics over both sides, by side, by relation if asked for, and the protocol."""

    both: RankMetrics
    lhs: RankMetrics
    """Left sides sought."""
    rhs: RankMetrics
    """Right sides sought."""
    per_relation: Sequence[RelationMetrics] | None
    protocol: Protocol
    seconds: float

    def to_record(self) -> EvaluationRecord:
        """What is kept beside the checkpoints."""
        both = self.both
        return EvaluationRecord(
            checkpoint=self.protocol.checkpoint,
            split=self.protocol.split,
            mrr=both.mrr,
            mean_rank=both.mean_rank,
            hits_at_1=both.hits_at_1,
            hits_at_3=both.hits_at_3,
            hits_at_10=both.hits_at_10,
            protocol=asdict(self.protocol),
        )

    def to_document(self) -> dict[str, Any]:
        """JSON: the averages over both sides at the top, everything else below its name."""
        document = {**asdict(self.both), "lhs": asdict(self.lhs), "rhs": asdict(self.rhs)}
        if self.per_relation is not None:
            document["per_relation"] = [{"relation": r.relation, **asdict(r.metrics)} for r in self.per_relation]
        return {**document, "seconds": round(self.seconds, 3), "protocol": asdict(self.protocol)}
