"""Files that nobody of ours has written, beside those that are named by numbers."""

from pathlib import Path

import pytest

from graphbed.storage import layout
from graphbed.storage.condemned import condemn, condemned_sequences
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.evaluation_file import EvaluationRecord, read_evaluations, read_scores, write_evaluation
from graphbed.storage.generation import Generation, claim_generation, generation_numbers
from graphbed.storage.manifest import manifest_sequences

STRAYS = ("notes.txt", "README", "copy-of-000000000001.json", "1.json", "00000000001x.json", "old/000000000009.json")


def put_strays(store: DirectoryStore, prefix: str) -> None:
    for name in STRAYS:
        store.put(f"{prefix}{name}", b"?")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def test_scores_and_evaluations_are_read_beside_strays(store: DirectoryStore) -> None:
    record = EvaluationRecord(
        checkpoint=3,
        split="test",
        mrr=0.5,
        mean_rank=2.0,
        hits_at_1=0.3,
        hits_at_3=0.5,
        hits_at_10=0.7,
        protocol={"filtered": True},
    )
    write_evaluation(store, "j", record)
    put_strays(store, layout.scores("j", "test"))
    put_strays(store, layout.scores("j", "valid"))
    store.put(f"{layout.evaluations('j')}notes.txt", b"?")
    assert read_scores(store, "j", [1, 3]) == {3: 0.5}
    assert read_evaluations(store, "j") == [record]


def test_manifests_generations_and_marks_are_counted_beside_strays(store: DirectoryStore) -> None:
    facts = {"job": "j", "nonce": "-", "server": "s", "reason": "new", "state_identity": "-", "claimed_at": 0.0}
    assert claim_generation(store, Generation(number=1, **facts))
    condemn(store, "j", 2)
    store.put(layout.manifest("j", 4), b"{}")
    for prefix in (layout.manifests("j"), layout.generations("j"), layout.condemned_manifests("j")):
        put_strays(store, prefix)
    assert manifest_sequences(store, "j") == [4]
    assert generation_numbers(store, "j") == [1]
    assert condemned_sequences(store, "j") == {2}
