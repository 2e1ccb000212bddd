"""Evaluations beside the checkpoints: what the newest one of each split came to, for dashboards and for people."""

from typing import Any

from graphbed.errors import ObjectCorrupt
from graphbed.storage import layout
from graphbed.storage.document import Document
from graphbed.storage.objects import ObjectStore


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
    """Keep the record in place of an earlier one of that split. Raises what the store raises."""
    store.put(layout.evaluation(job, record.split), record.to_json())


def read_evaluations(store: ObjectStore, job: str) -> list[EvaluationRecord]:
    """The newest evaluation of each split. Raises ObjectCorrupt, and what the store raises."""
    found = []
    for key in store.list(layout.evaluations(job)):
        try:
            found.append(EvaluationRecord.model_validate_json(store.get(key)))
        except ValueError as error:
            raise ObjectCorrupt(key=key, store=store.address, what=str(error).splitlines()[0]) from error
    return found
