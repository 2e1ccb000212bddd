"""Each invariant accepts a true history and refuses one that was doctored against it."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphbed.config.job import JobConfig
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.manifest import Manifest, manifest_sequences, read_manifest, require_newest
from graphbed.storage.partition_file import PartitionArrays, pack_partition
from tests.checker.example import record_a_job
from tests.checker.invariants import Evidence, violations
from tests.checker.lines import Line, read_lines
from tests.simulation.stores import Objects

Doctored = tuple[list[Line], Objects]
SUCCESSORS = "i2_successors_share_with_their_parents_alone_and_end_with_them"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Line], Objects, JobConfig]:
    """A whole job: its history, what it stored, its configuration."""
    folder, objects = tmp_path_factory.mktemp("history"), Objects()
    config = record_a_job(folder, objects)
    return read_lines(folder), objects, config


@pytest.fixture
def told(recorded: tuple[list[Line], Objects, JobConfig]) -> tuple[list[Line], Objects, JobConfig]:
    """The same, to be doctored."""
    lines, objects, config = recorded
    own = Objects()
    own.data = dict(objects.data)
    return list(lines), own, config


def judge(lines: list[Line], objects: Objects, config: JobConfig) -> dict[str, list[str]]:
    evidence = Evidence.of_job(lines, objects, config)
    return {name: found for name, found in violations(evidence).items() if found}


def test_a_true_history_is_clean(told: tuple[list[Line], Objects, JobConfig]):
    lines, objects, config = told
    assert judge(lines, objects, config) == {}
    assert len({line.facts["after"] for line in lines if line.event == "change" and not line.facts["before"]}) == 2


def change(lines: list[Line], having: str, **facts: Any) -> list[Line]:
    """Replace facts of the last change that tells `having`, is no beginning and is not the end of the job."""
    found = [
        place
        for place, line in enumerate(lines)
        if line.event == "change" and line.facts.get(having) and line.facts["before"]
    ]
    return edit(lines, found[-1], **facts)


def edit(lines: list[Line], place: int, **facts: Any) -> list[Line]:
    line = lines[place]
    kept = {name: value for name, value in {**line.facts, **facts}.items() if value is not None}
    return [*lines[:place], replace(line, facts=kept), *lines[place + 1 :]]


def the(lines: list[Line], event: str, number: int = -1) -> int:
    """Where the line of that event is."""
    return [place for place, line in enumerate(lines) if line.event == event][number]


def without_a_change(lines: list[Line], objects: Objects) -> Doctored:
    place = next(p for p, line in enumerate(lines) if line.event == "change" and "renewed" in line.facts)
    return lines[:place] + lines[place + 1 :], objects


def a_pointer_that_moves_alone(lines: list[Line], objects: Objects) -> Doctored:
    key = layout.partition_version("j", Partition("e", 0), "f" * 32)
    return change(lines, "renewed", pointers=[["e", 0, key, "0" * 64]]), objects


def two_leases_on_one_partition(lines: list[Line], objects: Objects) -> Doctored:
    grants = [p for p, line in enumerate(lines) if line.event == "change" and line.facts.get("granted")]
    both = next((a, b) for a, b in itertools.pairwise(grants) if _trainer(lines[a]) != _trainer(lines[b]))
    taken = lines[both[0]].facts["granted"][0]["partitions"]
    lease = {**lines[both[1]].facts["granted"][0], "partitions": taken}
    return edit(lines, both[1], granted=[lease]), objects


def _trainer(line: Line) -> str:
    return str(line.facts["granted"][0]["trainer"])


def _succession(lines: list[Line]) -> tuple[int, int]:
    """Where a successor is granted, and where its parent ends."""
    changes = [p for p, line in enumerate(lines) if line.event == "change"]
    granted = next(p for p in changes if any(lease["parent"] for lease in lines[p].facts.get("granted", [])))
    parent = lines[granted].facts["granted"][0]["parent"]
    return granted, next(p for p in changes if parent in lines[p].facts.get("ended", []))


def a_successor_committed_before_its_parent(lines: list[Line], objects: Objects) -> Doctored:
    granted, ended = _succession(lines)
    return edit(lines, ended, committed=[lines[granted].facts["granted"][0]["lease"]]), objects


def a_successor_that_survives_its_parent(lines: list[Line], objects: Objects) -> Doctored:
    _, ended = _succession(lines)
    return edit(lines, ended, committed=None), objects


def a_successor_that_names_no_parent(lines: list[Line], objects: Objects) -> Doctored:
    granted, _ = _succession(lines)
    return edit(lines, granted, granted=[{**lines[granted].facts["granted"][0], "parent": ""}]), objects


def a_lease_id_used_twice(lines: list[Line], objects: Objects) -> Doctored:
    first = next(line for line in lines if line.event == "change" and line.facts.get("granted"))
    return change(lines, "granted", granted=first.facts["granted"]), objects


def one_name_with_two_contents(lines: list[Line], objects: Objects) -> Doctored:
    begun, ended = lines[the(lines, "store")], lines[the(lines, "store ended")]
    again = replace(begun, facts={**begun.facts, "op": 10**6, "sha256": "1" * 64})
    return [*lines, again, replace(ended, facts={"op": 10**6})], objects


def a_version_that_nobody_stored(lines: list[Line], objects: Objects) -> Doctored:
    return edit(lines, the(lines, "store ended"), error="StoreUnavailable"), objects


def a_version_that_is_gone(lines: list[Line], objects: Objects) -> Doctored:
    objects.delete(require_newest(objects, "j").pointers[0].version.key)
    return lines, objects


def a_missing_manifest(lines: list[Line], objects: Objects) -> Doctored:
    objects.delete(layout.manifest("j", 2))
    return lines, objects


def a_manifest_with_two_contents(lines: list[Line], objects: Objects) -> Doctored:
    return edit(lines, the(lines, "manifest ended"), nonce="another"), objects


def a_manifest_of_a_generation_that_was_over(lines: list[Line], objects: Objects) -> Doctored:
    last = max(p for p, line in enumerate(lines) if line.event == "manifest ended")
    return edit(lines, last, generation=0), objects


def a_commit_without_its_marks(lines: list[Line], objects: Objects) -> Doctored:
    return change(lines, "committed", done=None), objects


def a_commit_that_leaves_its_lease(lines: list[Line], objects: Objects) -> Doctored:
    return change(lines, "committed", ended=None), objects


def a_bucket_committed_twice(lines: list[Line], objects: Objects) -> Doctored:
    first, _ = read_manifest(objects, "j", 2)
    commits = first.commits
    doubled = first.model_copy(update={"commits": (*commits, commits[-1])})
    _rewrite_from(objects, 2, doubled)
    return lines, objects


def _rewrite_from(objects: Objects, sequence: int, manifest: Manifest) -> None:
    """Replace a manifest and keep the chain after it whole."""
    stored = objects.put(layout.manifest("j", sequence), manifest.to_json())
    if sequence < manifest_sequences(objects, "j")[-1]:
        following, _ = read_manifest(objects, "j", sequence + 1)
        _rewrite_from(objects, sequence + 1, following.model_copy(update={"parent_sha256": stored.sha256}))


def a_request_with_two_effects(lines: list[Line], objects: Objects) -> Doctored:
    grants = [p for p, line in enumerate(lines) if line.event == "change" and line.facts.get("granted")]
    return edit(lines, grants[-1], answers=lines[grants[-2]].facts["answers"]), objects


def a_request_with_two_answers(lines: list[Line], objects: Objects) -> Doctored:
    asked = [p for p, line in enumerate(lines) if line.event == "acquire" and "parent" not in line.facts]
    return edit(lines, asked[-2], request=lines[asked[-1]].facts["request"]), objects


def a_renewal_by_a_stranger(lines: list[Line], objects: Objects) -> Doctored:
    return edit(lines, the(lines, "renew"), trainer="mallory"), objects


def a_long_wait_for_work(lines: list[Line], objects: Objects) -> Doctored:
    changes = [p for p, line in enumerate(lines) if line.event == "change"]
    place = [p for p in changes if any(not lease["parent"] for lease in lines[p].facts.get("granted", []))][-1]
    return [replace(line, at=line.at + 60) if p >= place else line for p, line in enumerate(lines)], objects


def a_bucket_that_is_passed_over(lines: list[Line], objects: Objects) -> Doctored:
    """Each grant is three, which hold nothing; the bucket 0/1 is neither granted nor done."""
    for place, line in enumerate(lines):
        if line.event == "change":
            granted = [
                {
                    **lease,
                    "lease": f"{lease['lease']}{letter}",
                    "partitions": [],
                    "buckets": [bucket for bucket in lease["buckets"] if bucket != [0, 1]],
                }
                for lease in line.facts.get("granted", [])
                for letter in ("", "a", "b")
            ]
            done = [mark for mark in line.facts.get("done", []) if mark[:2] != [0, 1]]
            lines = edit(lines, place, granted=granted or None, done=done or None)
    return lines, objects


def a_state_that_begins_with_nothing(lines: list[Line], objects: Objects) -> Doctored:
    begins = [p for p, line in enumerate(lines) if line.event == "change" and not line.facts["before"]]
    return edit(lines, begins[-1], manifest=0, pointers=None, done=None), objects


def a_version_with_nan(lines: list[Line], objects: Objects) -> Doctored:
    manifest = require_newest(objects, "j")
    arrays = PartitionArrays(embeddings=np.full((7, 4), np.nan, np.float32), sums=np.ones((7, 1), np.float32))
    objects.put(manifest.pointers[0].version.key, pack_partition(arrays))
    return lines, objects


def a_snapshot_without_a_delta(lines: list[Line], objects: Objects) -> Doctored:
    manifest = require_newest(objects, "j")
    parameters = manifest.parameters.model_copy(update={"deltas": manifest.parameters.deltas[1:]})
    _rewrite_from(objects, manifest.sequence, manifest.model_copy(update={"parameters": parameters}))
    return lines, objects


@pytest.mark.parametrize(
    ("doctor", "invariant"),
    [
        (without_a_change, "the_history_has_no_hole"),
        (a_pointer_that_moves_alone, "i1"),
        (two_leases_on_one_partition, "i2"),
        (a_successor_committed_before_its_parent, SUCCESSORS),
        (a_successor_that_survives_its_parent, SUCCESSORS),
        (a_successor_that_names_no_parent, SUCCESSORS),
        (a_lease_id_used_twice, "i3"),
        (one_name_with_two_contents, "i3"),
        (a_version_that_nobody_stored, "i4"),
        (a_version_that_is_gone, "i4"),
        (a_missing_manifest, "i5"),
        (a_manifest_with_two_contents, "i5"),
        (a_manifest_of_a_generation_that_was_over, "i5"),
        (a_commit_without_its_marks, "i6"),
        (a_commit_that_leaves_its_lease, "i6"),
        (a_bucket_committed_twice, "i7"),
        (a_request_with_two_effects, "i8"),
        (a_request_with_two_answers, "i8"),
        (a_renewal_by_a_stranger, "i9"),
        (a_long_wait_for_work, "i10_pending_work_is_granted_soon_once_faults_end"),
        (a_bucket_that_is_passed_over, "i10_no_bucket_is_passed_over_for_ever"),
        (a_state_that_begins_with_nothing, "i11"),
        (a_version_with_nan, "i14"),
        (a_snapshot_without_a_delta, "i16"),
    ],
)
def test_a_doctored_history_is_refused(
    told: tuple[list[Line], Objects, JobConfig],
    doctor: Callable[[list[Line], Objects], Doctored],
    invariant: str,
):
    lines, objects, config = told
    lines, objects = doctor(lines, objects)
    assert any(name.split("_")[0] == invariant or name == invariant for name in judge(lines, objects, config))


def test_a_state_of_a_generation_that_is_over_may_begin_at_an_older_manifest(
    told: tuple[list[Line], Objects, JobConfig],
):
    lines, objects, config = told
    begins = [p for p, line in enumerate(lines) if line.event == "change" and not line.facts["before"]]
    lines, objects = a_state_that_begins_with_nothing(lines, objects)
    late = edit(lines, begins[-1], generation=0)
    assert not any(name.startswith("i11") for name in judge(late, objects, config))
