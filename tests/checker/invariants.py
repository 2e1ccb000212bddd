"""The invariants, one function each: what a history breaks of it, in words; nothing if it keeps it.

I12 and I13 compare runs, and I15 needs the secrets: they are tested where there are two runs, or a secret.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from graphbed.config.job import JobConfig
from graphbed.errors import GraphbedError, ObjectCorrupt
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.chain import commit_log
from graphbed.storage.graph_document import read_graph
from graphbed.storage.manifest import CommitRecord, Manifest, manifest_sequences, read_manifest
from graphbed.storage.objects import ObjectStore, get_verified
from graphbed.storage.partition_file import require_finite, unpack_partition
from services.lockserver.plan import Plan
from tests.checker.lines import Line, Operation, operations
from tests.checker.passes import Grant, Passes, most_passes, passed_over, without
from tests.checker.steps import Step, Steps, rebuild


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that is known of one job: what was told, and what the object store holds at the end."""

    job: str
    config: JobConfig
    lines: list[Line]
    store: ObjectStore
    steps: list[Step]
    strays: list[Line]
    operations: list[Operation]
    manifests: list[Manifest]
    """Those in the object store that can be read, in order."""

    @classmethod
    def of_job(cls, lines: list[Line], store: ObjectStore, config: JobConfig) -> "Evidence":
        """Rebuild states and operations from the lines."""
        rebuilt: Steps = rebuild(lines, config.job)
        return cls(
            job=config.job,
            config=config,
            lines=lines,
            store=store,
            steps=rebuilt.steps,
            strays=rebuilt.strays,
            operations=operations(lines),
            manifests=list(_manifests(store, config.job)),
        )

    def of(self, name: str) -> list[Operation]:
        """The operations of one name."""
        return [operation for operation in self.operations if operation.name == name]

    def manifests_told(self) -> list[Operation]:
        """The operations that wrote a manifest of the job, or found one in its place."""
        return [o for o in self.of("manifest") if o.succeeded and o.facts["job"] == self.job]

    def holders(self) -> dict[str, str]:
        """Lease → the trainer it was granted to."""
        return {lease["lease"]: lease["trainer"] for step in self.steps for lease in step.told("granted")}


def _manifests(store: ObjectStore, job: str) -> Iterator[Manifest]:
    for sequence in manifest_sequences(store, job):
        with suppress(ObjectCorrupt):
            yield read_manifest(store, job, sequence)[0]


def the_history_has_no_hole(e: Evidence) -> Iterator[str]:
    """Every change follows one that was told."""
    for line in e.strays:
        yield f"{line.process} follows {line.facts['before']}, which nobody told"


def i1_pointers_move_only_by_the_commit_of_a_live_lease(e: Evidence) -> Iterator[str]:
    for step in e.steps:
        if step.begins:
            continue
        for kind, index, key, _ in step.told("pointers"):
            owners = [lease for lease in step.told("committed") if lease in step.before.leases]
            if not any(key == layout.partition_version(e.job, Partition(kind, index), lease) for lease in owners):
                yield f"{kind}/{index} moved to {key} without the commit of its live lease"


def i2_live_leases_of_different_trainers_share_no_partition(e: Evidence) -> Iterator[str]:
    for step in e.steps:
        if not step.told("granted"):
            continue
        held: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        for lease in step.after.leases.values():
            for kind, index, _ in lease["partitions"]:
                held[kind, index].add(lease["trainer"])
        for place, trainers in held.items():
            if len(trainers) > 1:
                yield f"{place} is held by {sorted(trainers)} after {step.line.facts['after']}"


def i2_successors_share_with_their_parents_alone_and_end_with_them(e: Evidence) -> Iterator[str]:
    """A trainer's leases share a partition only as parent and successor; a successor commits later, or is void too."""
    for step in e.steps:
        committed = set(step.told("committed"))
        for lease in step.after.leases.values():
            others = [other for other in step.after.leases.values() if other["trainer"] == lease["trainer"]]
            for other in others:
                related = lease["lease"] in (other["lease"], other["parent"]) or lease["parent"] == other["lease"]
                if not related and _places(lease) & _places(other):
                    yield f"{lease['lease']} and {other['lease']} share a partition and are no relatives"
            if lease["parent"] in step.before.leases.keys() - step.after.leases.keys() - committed:
                yield f"{lease['lease']} survives its parent {lease['parent']}"
        for name in committed & step.before.leases.keys():
            if step.before.leases[name]["parent"] in step.before.leases:
                yield f"{name} was committed before its parent"


def _places(lease: dict[str, Any]) -> set[tuple[str, int]]:
    return {(kind, index) for kind, index, _ in lease["partitions"]}


def i3_lease_ids_and_version_names_never_repeat(e: Evidence) -> Iterator[str]:
    granted = Counter(lease["lease"] for step in e.steps for lease in step.told("granted"))
    yield from (f"the lease {lease} was granted {times} times" for lease, times in granted.items() if times > 1)
    contents: defaultdict[str, set[str]] = defaultdict(set)
    for operation in [*e.of("store"), *e.of("seal")]:
        if operation.succeeded:
            contents[operation.facts["key"]].add(operation.facts["sha256"])
    yield from (f"{key} had {len(each)} contents" for key, each in contents.items() if len(each) > 1)


def i4_pointers_and_manifests_name_complete_objects(e: Evidence) -> Iterator[str]:
    stored = {(o.facts["key"], o.facts["sha256"]) for o in e.of("store") if o.succeeded}
    for step in e.steps:
        for _, _, key, sha256 in step.told("pointers"):
            if not step.begins and (key, sha256) not in stored:
                yield f"a pointer names {key}, which nobody stored with that checksum"
    for manifest in e.manifests[-1:]:
        named = [pointer.version for pointer in manifest.pointers] + list(manifest.parameters.deltas)
        for version in [*named, *filter(None, [manifest.parameters.base])]:
            try:
                get_verified(e.store, version.key, size=version.size, sha256=version.sha256)
            except GraphbedError as error:
                yield f"manifest {manifest.sequence}: {error}"


def i5_manifests_are_gapless_and_have_one_content(e: Evidence) -> Iterator[str]:
    sequences = manifest_sequences(e.store, e.job)
    if sequences != list(range(sequences[0], sequences[0] + len(sequences)) if sequences else []):
        yield f"the manifests are {sequences}"
    nonces: defaultdict[int, set[str]] = defaultdict(set)
    generations = {}
    for operation in e.manifests_told():
        nonces[operation.facts["sequence"]].add(operation.facts["nonce"])
        generations[operation.facts["sequence"]] = operation.facts["generation"]
    for manifest in e.manifests:
        nonces[manifest.sequence].add(manifest.nonce)
    yield from (f"manifest {n} was seen with {len(each)} nonces" for n, each in nonces.items() if len(each) > 1)
    for older, newer in pairwise(sorted(generations)):
        if generations[newer] < generations[older]:
            yield f"manifest {newer} is of an older generation than manifest {older}"


def i6_pointers_and_done_marks_of_a_lease_appear_together(e: Evidence) -> Iterator[str]:
    for step in e.steps:
        if step.begins or not (step.told("pointers") or step.told("done") or step.told("committed")):
            continue
        leases = [step.before.leases[lease] for lease in step.told("committed") if lease in step.before.leases]
        places = {(kind, index) for lease in leases for kind, index, _ in lease["partitions"]}
        marks = {(lhs, rhs, lease["epoch"] + 1) for lease in leases for lhs, rhs in lease["buckets"]}
        if {(kind, index) for kind, index, _, _ in step.told("pointers")} != places:
            yield f"{step.line.facts['after']} moved other pointers than its lease's"
        # A bucket in quarantine is skipped, or made due again, by a mark that says so.
        skipped = {(lhs, rhs) for lhs, rhs, _ in step.told("skipped")}
        told = {(lhs, rhs, epochs) for lhs, rhs, epochs in step.told("done") if (lhs, rhs) not in skipped}
        if told != {mark for mark in marks if mark[:2] not in skipped}:
            yield f"{step.line.facts['after']} marked other buckets than its lease's"
        if not {lease["lease"] for lease in leases} <= set(step.told("ended")):
            yield f"{step.line.facts['after']} left its lease alive"


def i7_each_bucket_is_committed_once_an_epoch_along_the_final_chain(e: Evidence) -> Iterator[str]:
    """Exactly once, or recorded as skipped, if the job is completed; at most once if not."""
    counts = Counter((*bucket, commit.epoch) for commit in _log(e) for bucket in commit.buckets)
    counts.update((x.lhs, x.rhs, epoch) for m in e.manifests[-1:] for x in m.skipped for epoch in x.epochs)
    buckets = read_graph(e.store, e.config.graph).edges_per_bucket("train")
    due = Counter((b.lhs, b.rhs, epoch) for b in buckets for epoch in range(e.config.num_epochs))
    completed = [manifest.status for manifest in e.manifests[-1:]] == ["completed"]
    for bucket in sorted(counts.keys() | due.keys()):
        if counts[bucket] > due[bucket] or (completed and counts[bucket] < due[bucket]):
            yield f"(lhs, rhs, epoch) {bucket} was committed {counts[bucket]} times"


def i8_a_request_has_one_effect_and_one_answer(e: Evidence) -> Iterator[str]:
    """Within a generation: what was answered before it is void, and the request may be granted anew."""
    seen: defaultdict[tuple[object, ...], set[tuple[str, ...]]] = defaultdict(set)
    for step in e.steps:
        for answer in step.told("answers") if not step.begins else []:
            effects = seen[step.after.generation, *answer]
            # On another branch it may have one more: that one was forgotten.
            if any(step.path[: len(path)] == path for path in effects):
                yield f"the request {answer} had two effects"
            effects.add(step.path)
    life_of = {lease["lease"]: (step.path, step.after.generation) for step in e.steps for lease in step.told("granted")}
    answers: defaultdict[tuple[str, object], set[str]] = defaultdict(set)
    for operation in e.of("acquire"):
        if operation.facts.get("lease"):
            answers[operation.facts["request"], life_of.get(operation.facts["lease"])].add(operation.facts["lease"])
    yield from (f"request {r} was answered {sorted(each)}" for (r, _), each in answers.items() if len(each) > 1)


def i9_only_the_holder_renews_releases_and_commits(e: Evidence) -> Iterator[str]:
    holders = e.holders()
    for operation in [*e.of("renew"), *e.of("release"), *e.of("commit")]:
        holder = holders.get(operation.facts["lease"])
        if operation.succeeded and holder is not None and holder != operation.facts["trainer"]:
            yield f"{operation.facts['trainer']} did {operation.name} a lease of {holder}"


def i10_pending_work_is_granted_soon_once_faults_end(e: Evidence) -> Iterator[str]:
    """From the line `quiet` on, a job without a live lease gets one within ttl + 2 s."""
    quiet = next((line.at for line in e.lines if line.event == "quiet"), None)
    if quiet is None:
        return
    idle_since: float | None = None
    for step in sorted((s for s in e.steps if s.line.at >= quiet), key=lambda s: s.line.at):
        waited = 0.0 if idle_since is None else step.line.at - idle_since
        if step.told("granted") and waited > e.config.lease.ttl_seconds + 2:
            yield f"no work was granted for {waited:.1f} s while some was due and nobody worked"
        idle = not step.after.leases and step.after.status == "running"
        idle_since = (step.line.at if idle_since is None else idle_since) if idle else None


def i10_no_bucket_is_passed_over_for_ever(e: Evidence) -> Iterator[str]:
    """While it is due and nobody holds its partitions."""
    plan = Plan.from_config(e.config, read_graph(e.store, e.config.graph))
    most = most_passes(plan)
    needs = {
        (bucket.lhs, bucket.rhs): [(place.entity_type, place.index) for place in places]
        for bucket, places in plan.resources.items()
    }
    passes: dict[str, Passes[tuple[int, int]]] = {}
    for step in e.steps:
        counted = passes.get(step.line.facts["before"], {})
        counted = without(counted, set(step.told("ended")) - set(step.told("committed")))
        leases, done = step.after.leases.values(), step.after.done
        # So many epochs the job has had by then: it may have been given more later.
        epochs = max([*done.values(), *(lease["epoch"] + 1 for lease in leases)], default=0)
        for lease in step.told("granted"):
            due = {bucket: done.get(bucket, 0) for bucket in needs if done.get(bucket, 0) < epochs}
            held = {(kind, index) for other in step.before.leases.values() for kind, index, _ in other["partitions"]}
            taken = [(lhs, rhs) for lhs, rhs in lease["buckets"]]
            counted = passed_over(counted, needs, due, Grant(lease["lease"], taken, held))
            for (bucket, epoch), passed in counted.items():
                if len(passed) > most:
                    yield f"{lease['lease']} passes over bucket {bucket} in epoch {epoch} for the {len(passed)}th time"
        passes[step.line.facts["after"]] = counted


def i11_a_lost_state_begins_again_at_a_manifest(e: Evidence) -> Iterator[str]:
    """And at none older than one of its own or an older generation that was known to be written before.

    A server that stands still between the first manifest of a generation and its state may put that in place when a
    newer generation has begun and was forgotten. Nobody works on such a state: it is looked at before, and it can have
    no further manifest.
    """
    kept = {manifest.sequence: manifest for manifest in e.manifests}
    written = [(o.ended.at, o.facts["sequence"], o.facts["generation"]) for o in e.manifests_told() if o.ended]
    for step in e.steps:
        if not step.begins:
            continue
        number = step.after.manifest
        if step.after.leases:
            yield f"the state {step.life} began with leases"
        newest = max((n for at, n, begun in written if at < step.line.at and begun <= step.after.generation), default=0)
        if number < newest:
            yield f"the state {step.life} began at manifest {number}, though {newest} was there"
        if number in kept:
            pointers = {(p.entity_type, p.index): p.version.key for p in kept[number].pointers}
            progress = {(p.lhs, p.rhs): p.epochs for p in kept[number].progress if p.epochs}
            if (step.after.pointers, step.after.done) != (pointers, progress):
                yield f"the state {step.life} is not what manifest {number} tells"


def i14_no_version_holds_nan_or_infinity(e: Evidence) -> Iterator[str]:
    for manifest in e.manifests[-1:]:
        for pointer in manifest.pointers:
            version = pointer.version
            try:
                data = e.store.get(version.key)
                rows, dimension = version.rows, version.dimension
                require_finite(unpack_partition(data, rows=rows, dimension=dimension, key=version.key), version.key)
            except GraphbedError as error:
                yield str(error)


def i16_a_snapshot_holds_the_deltas_of_exactly_the_committed_leases(e: Evidence) -> Iterator[str]:
    compacted = {o.facts["key"]: (o.facts["base"], o.facts["leases"]) for o in e.of("compact") if o.succeeded}

    def leases_of(base: str | None) -> list[str]:
        if base is None:
            return []
        if base not in compacted:
            return [f"(unknown: nobody told of {base})"]
        before, leases = compacted[base]
        return [*leases_of(before), *leases]

    for manifest in e.manifests[-1:]:
        base = manifest.parameters.base
        held = leases_of(base.key if base else None)
        held += [delta.key.rsplit("/", 1)[1].removesuffix(".safetensors") for delta in manifest.parameters.deltas]
        committed = [record.lease_id for record in _log(e) if record.parameters]
        if held != committed:
            differing = sorted(set(held) ^ set(committed))
            yield f"manifest {manifest.sequence} holds other deltas than its commits': {differing[:5]}"


def _log(e: Evidence) -> list[CommitRecord]:
    return commit_log(e.store, e.job)


INVARIANTS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    the_history_has_no_hole,
    i1_pointers_move_only_by_the_commit_of_a_live_lease,
    i2_live_leases_of_different_trainers_share_no_partition,
    i2_successors_share_with_their_parents_alone_and_end_with_them,
    i3_lease_ids_and_version_names_never_repeat,
    i4_pointers_and_manifests_name_complete_objects,
    i5_manifests_are_gapless_and_have_one_content,
    i6_pointers_and_done_marks_of_a_lease_appear_together,
    i7_each_bucket_is_committed_once_an_epoch_along_the_final_chain,
    i8_a_request_has_one_effect_and_one_answer,
    i9_only_the_holder_renews_releases_and_commits,
    i10_pending_work_is_granted_soon_once_faults_end,
    i10_no_bucket_is_passed_over_for_ever,
    i11_a_lost_state_begins_again_at_a_manifest,
    i14_no_version_holds_nan_or_infinity,
    i16_a_snapshot_holds_the_deltas_of_exactly_the_committed_leases,
)


def violations(evidence: Evidence) -> dict[str, list[str]]:
    """Name of each invariant → what breaks it."""
    return {check.__name__: _found(check, evidence) for check in INVARIANTS}


def _found(check: Callable[[Evidence], Iterator[str]], evidence: Evidence) -> list[str]:
    try:
        return list(check(evidence))
    except GraphbedError as error:
        # Evidence that cannot be read proves nothing.
        return [str(error)]


def require_clean(evidence: Evidence) -> None:
    """Raise AssertionError with what is broken, the first few of each invariant."""
    broken = {name: found[:5] for name, found in violations(evidence).items() if found}
    assert not broken, "\n".join(f"{name}: {text}" for name, found in broken.items() for text in found)
