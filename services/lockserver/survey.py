"""Surveys: everything that a collection has to know of one job, read in the order that makes it safe."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphbed import logs
from graphbed.clock import Clock
from graphbed.config.job import CheckpointConfig
from graphbed.errors import ObjectCorrupt, ObjectMissing
from graphbed.storage import layout
from graphbed.storage.condemned import condemned_sequences
from graphbed.storage.evaluation_file import read_scores
from graphbed.storage.manifest import manifest_sequences, read_manifest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import Pin, names_by_sequence, read_pins
from graphbed.storage.retention import Retention, Told
from services.lockserver.garbage import Decision, InUse, decide
from services.lockserver.jobs import JobTable
from services.lockserver.watch import LeaseWatch, Watched

READER_SECONDS = 900.0
"""A reader that was watched for so long without a sign of life is dead; it gives one every minute."""
LONGEST_STEP_SECONDS = 120.0
"""A longer gap between two looks at the readers counts as this much."""

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A job as it was found, and what follows."""

    generation: int
    objects: Mapping[str, int]
    """Key → bytes."""
    decision: Decision

    def size(self, keys: Iterable[str]) -> int:
        """Bytes of some of the objects."""
        return sum(self.objects[key] for key in keys)


@dataclass(slots=True)
class _Memory:
    """What is remembered of one job from one survey to the next; without it, garbage waits longer."""

    told: dict[int, Told] = field(default_factory=dict)
    first_seen: Mapping[str, int] = field(default_factory=dict)
    readers: LeaseWatch[int] = field(default_factory=lambda: LeaseWatch(longest_step_seconds=LONGEST_STEP_SECONDS))


class Surveyor:
    """Surveys jobs for one collector; for one thread at a time."""

    def __init__(self, *, jobs: JobTable, store: ObjectStore, clock: Clock) -> None:
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._memories: defaultdict[str, _Memory] = defaultdict(_Memory)

    def survey(self, job: str) -> Survey:
        """Read what there is and decide; removes the pins of readers that are dead. Raises what a store raises."""
        memory = self._memories[job]
        # Objects, then the state, then manifests: a version that is here because a lease stored it is, by the time the
        # state is read, of a live lease, current, or over; and what a state has dropped, a manifest tells of by then.
        objects = {
            **self._store.sizes(layout.partitions(job)),
            **self._store.sizes(layout.parameters(job)),
        }
        in_use = InUse.by(self._jobs.current(job))
        marked = condemned_sequences(self._store, job)
        pins = names_by_sequence(self._living(memory, read_pins(self._store, job)))
        sequences = [n for n in manifest_sequences(self._store, job) if n not in marked or n in pins]
        memory.told = {sequence: self._told(job, memory, sequence) for sequence in sequences}
        decision = decide(
            manifests=[memory.told[sequence] for sequence in sequences],
            marked=marked,
            pins=pins,
            # After the pins: whoever evaluates lets go of a manifest when its score is there.
            scores=read_scores(self._store, job, sequences),
            retention=retention_of(self._jobs.bare_context(job).config.checkpoint),
            in_use=in_use,
            objects=objects,
            first_seen=memory.first_seen,
        )
        memory.first_seen = decision.first_seen
        return Survey(generation=in_use.generation, objects=objects, decision=decision)

    def needed_now(self, job: str, survey: Survey) -> frozenset[str]:
        """Keys that pins of this moment need. Raises GenerationOld if the job lives on in another generation."""
        self._jobs.confirm(job, survey.generation)
        memory = self._memories[job]
        sequences = {pin.document.sequence for pin in read_pins(self._store, job)}
        return frozenset[str]().union(*(self._told(job, memory, sequence).named for sequence in sequences))

    def _told(self, job: str, memory: _Memory, sequence: int) -> Told:
        """What a manifest tells; manifests never change, so each is read once."""
        if sequence in memory.told:
            return memory.told[sequence]
        try:
            return Told.by(read_manifest(self._store, job, sequence)[0])
        except (ObjectCorrupt, ObjectMissing) as error:
            log.error("a manifest tells nothing", job=job, manifest=sequence, error=str(error))
            return Told.nothing(sequence)

    def _living(self, memory: _Memory, pins: Iterable[Pin]) -> list[Pin]:
        """The pins without those of dead readers, which are removed."""
        by_key = {pin.key: pin for pin in pins}
        watched = [
            Watched(lease_id=pin.key, mark=pin.document.renewals, patience_seconds=READER_SECONDS)
            for pin in by_key.values()
            if pin.reader
        ]
        for silent in memory.readers.look(watched, self._clock.monotonic()):
            pin = by_key.pop(silent.lease_id)
            self._store.delete(pin.key)
            log.warning("a reader fell silent", reader=pin.name, manifest=pin.document.sequence)
        return list(by_key.values())


def retention_of(checkpoint: CheckpointConfig) -> Retention:
    """What a job's configuration asks to keep."""
    return Retention(keep_last=checkpoint.keep_last, keep_every=checkpoint.keep_every, keep_best=checkpoint.keep_best)
