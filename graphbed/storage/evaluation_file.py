"""Evaluations beside the checkpoints: what they came to, for people and dashboards, and to keep the best one."""

from collections.abc import Collection
from typing import Any

from graphbed.errors import ObjectCorrupt
from graphbed.storage import layout
from graphbed.storage.document import Document
from graphbed.storage.objects import ObjectStore

SCORING_SPLITS = ("valid", "test")
"""Where scores come from: the first of these splits that was ever evaluated, so that all are of one split."""


class EvaluationRecord(Document):
    """The averages over both sides, and the protocol that made them."""

    checkpoint: int
    """Sequence number of the manifest."""
    split: str
    mrr: float
    mean_rank: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    protocol: dict[str, Any]


def write_evaluation(store: ObjectStore, job: str, record: EvaluationRecord) -> None:
    """Keep the record in place of an earlier one of that split; one of filtered ranks scores its checkpoint as well.

    Raises what the store raises.
    """
    if record.protocol["filtered"]:
        store.put(layout.score(job, record.split, record.checkpoint), record.to_json())
    store.put(layout.evaluation(job, record.split), record.to_json())


def read_evaluations(store: ObjectStore, job: str) -> list[EvaluationRecord]:
    """The newest evaluation of each split. Raises ObjectCorrupt, and what the store raises."""
    return [read_evaluation(store, key) for key in store.list(layout.evaluations(job)) if key.endswith(".json")]


def read_evaluation(store: ObjectStore, key: str) -> EvaluationRecord:
    """The evaluation under `key`. Raises ObjectMissing, ObjectCorrupt, and what the store raises."""
    try:
        return EvaluationRecord.model_validate_json(store.get(key))
    except ValueError as error:
        raise ObjectCorrupt(key=key, store=store.address, what=str(error).splitlines()[0]) from error


def read_scores(store: ObjectStore, job: str, sequences: Collection[int]) -> dict[int, float]:
    """Manifest → filtered MRR, of those of `sequences` that were evaluated.

    Raises ObjectCorrupt, and what the store raises.
    """
    for split in SCORING_SPLITS:
        prefix = layout.scores(job, split)
        if scored := layout.numbers(store.list(prefix), prefix):
            return {
                sequence: read_evaluation(store, layout.score(job, split, sequence)).mrr
                for sequence in scored
                if sequence in sequences
            }
    return {}
