"""Checking a job's checkpoints: generations, the chain of manifests, and every object that they name."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphbed.errors import GraphbedError, ObjectCorrupt, ObjectMissing, ObjectTooNew
from graphbed.storage import layout
from graphbed.storage.chain import named_objects
from graphbed.storage.generation import generation_numbers, read_generation
from graphbed.storage.manifest import Manifest, StoredVersion, manifest_sequences, read_manifest
from graphbed.storage.objects import ObjectStore, get_verified
from graphbed.storage.tombstone import is_tombstone


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is wrong."""

    key: str
    """The object that it was found in, or that is missing."""
    what: str
    manifests: tuple[int, ...] = ()
    """Numbers of the manifests that need the object; empty for a manifest or generation itself."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a check looked at, and what it found."""

    job: str
    generations: int = 0
    manifests: int = 0
    objects: int = 0
    size: int = 0
    """Bytes of the objects that are there."""
    newest_whole: int = 0
    """Number of the newest manifest without damage, 0 if there is none: where a restore would begin."""
    damages: list[Damage] = field(default_factory=list)


def check_job(store: ObjectStore, job: str, *, deep: bool, condemned: frozenset[int] = frozenset()) -> Report:
    """Look at everything of a job; with `deep`, read every object and compare its checksum.

    The objects of `condemned` manifests may be gone. Raises StoreUnavailable, StoreDenied.
    """
    report = Report(job=job)
    report.damages += _generations(store, job, report)
    manifests = _manifests(store, job, report)
    report.damages += _chain(job, manifests)
    needed: dict[StoredVersion, list[int]] = {}
    for sequence, (manifest, _) in manifests.items():
        if sequence not in condemned:
            for version in named_objects(manifest):
                needed.setdefault(version, []).append(sequence)
    for version, sequences in sorted(needed.items(), key=lambda entry: entry[0].key):
        report.objects += 1
        what = _wrong(store, version, deep=deep)
        if what:
            report.damages.append(Damage(key=version.key, what=what, manifests=tuple(sequences)))
        else:
            report.size += version.size
    harmed = {sequence for damage in report.damages for sequence in damage.manifests}
    report.newest_whole = max((n for n in manifests if n not in harmed and n not in condemned), default=0)
    return report


def _generations(store: ObjectStore, job: str, report: Report) -> Iterator[Damage]:
    numbers = generation_numbers(store, job)
    report.generations = len(numbers)
    for number in sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers)):
        yield Damage(key=layout.generation(job, number), what="is missing")
    for number in numbers:
        try:
            read_generation(store, job, number)
        except (ObjectCorrupt, ObjectTooNew) as error:
            yield Damage(key=layout.generation(job, number), what=_reason(error))


def _manifests(store: ObjectStore, job: str, report: Report) -> dict[int, tuple[Manifest, str]]:
    """Those that can be read, ascending, with their checksums; the others are reported."""
    sequences = manifest_sequences(store, job)
    report.manifests = len(sequences)
    found = {}
    for sequence in sequences:
        try:
            found[sequence] = read_manifest(store, job, sequence)
        except (ObjectCorrupt, ObjectTooNew) as error:
            report.damages.append(Damage(key=layout.manifest(job, sequence), what=_reason(error)))
    # Before a job that was deleted there is nothing.
    first = sequences[0] if sequences[:1] == [n for n, (told, _) in found.items() if is_tombstone(told)][:1] else 1
    for sequence in sorted(set(range(first, max(sequences, default=0) + 1)) - set(sequences)):
        report.damages.append(Damage(key=layout.manifest(job, sequence), what="is missing"))
    return found


def _chain(job: str, manifests: dict[int, tuple[Manifest, str]]) -> Iterator[Damage]:
    """Each manifest follows the one it names, and generations only grow."""
    generation = 0
    for sequence, (manifest, _) in manifests.items():
        key = layout.manifest(job, sequence)
        if (manifest.job, manifest.sequence) != (job, sequence):
            yield Damage(key=key, what=f"says that it is manifest {manifest.sequence} of {manifest.job}")
        if manifest.generation < generation:
            yield Damage(key=key, what=f"is of generation {manifest.generation}, after one of {generation}")
        generation = max(generation, manifest.generation)
        parent = manifests.get(manifest.parent)
        if parent is not None and parent[1] != manifest.parent_sha256:
            yield Damage(key=layout.manifest(job, manifest.parent), what=f"is not the one that {sequence} follows")


def _wrong(store: ObjectStore, version: StoredVersion, *, deep: bool) -> str:
    """What is wrong with an object, empty if nothing is."""
    try:
        if (size := store.size(version.key)) != version.size:
            return f"has {size} bytes, not {version.size}"
        if deep:
            get_verified(store, version.key, size=version.size, sha256=version.sha256)
    except ObjectMissing:
        return "is missing"
    except ObjectCorrupt:
        return "has other bytes than were stored"
    return ""


def _reason(error: GraphbedError) -> str:
    return "is of a later version of Graphbed" if isinstance(error, ObjectTooNew) else "cannot be understood"
