"""The chain of manifests: from the newest to its parent and on, what it tells, and whether it is whole."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from graphbed.errors import ObjectCorrupt, ObjectMissing
from graphbed.storage import layout
from graphbed.storage.manifest import CommitRecord, Manifest, StoredVersion, manifest_sequences, read_manifest
from graphbed.storage.objects import ObjectStore


class Link(NamedTuple):
    """One manifest that was looked at on the way back."""

    sequence: int
    manifest: Manifest | None
    """None if it cannot be read."""
    sha256: str
    damage: str
    """What is wrong with it, for people; empty if it is whole."""


def named_objects(manifest: Manifest) -> list[StoredVersion]:
    """Everything that a manifest points to: versions of partitions, parameters."""
    parameters = manifest.parameters
    base = [parameters.base] if parameters.base else []
    return [*(pointer.version for pointer in manifest.pointers), *base, *parameters.deltas]


def missing_object(store: ObjectStore, versions: list[StoredVersion]) -> str:
    """Key of the first of `versions` that is not in the store at its size, with what is wrong; empty if all are."""
    for version in versions:
        try:
            size = store.size(version.key)
        except ObjectMissing:
            return f"{version.key} is missing"
        if size != version.size:
            return f"{version.key} has {size} bytes, not {version.size}"
    return ""


def walk_back(store: ObjectStore, job: str, sequences: Sequence[int] | None = None) -> Iterator[Link]:
    """The manifests from the newest back, each with its damage if it has any, objects included.

    After one that cannot be read comes the one before it by number, else the parent. Only `sequences`, ascending, are
    looked at; None: all that there are. Raises ObjectTooNew.
    """
    left = manifest_sequences(store, job) if sequences is None else list(sequences)
    promised: str | None = None
    while left:
        sequence = left.pop()
        try:
            manifest, sha256 = read_manifest(store, job, sequence)
        except (ObjectCorrupt, ObjectMissing) as error:
            yield Link(sequence, None, "", str(error))
            promised = None
            continue
        damage = missing_object(store, named_objects(manifest))
        if promised not in (None, sha256):
            damage = f"{layout.manifest(job, sequence)} is not the one that the next manifest follows"
        yield Link(sequence, manifest, sha256, damage)
        promised = manifest.parent_sha256
        while left and left[-1] > manifest.parent:
            left.pop()


def newest_readable(store: ObjectStore, job: str) -> Manifest | None:
    """The newest manifest that can be understood, whatever became of what it names; None if there is none."""
    for sequence in reversed(manifest_sequences(store, job)):
        with suppress(ObjectCorrupt, ObjectMissing):
            return read_manifest(store, job, sequence)[0]
    return None


def commit_log(store: ObjectStore, job: str) -> list[CommitRecord]:
    """All commits of the job in order, along the parents of the newest manifest.

    Raises ObjectCorrupt where a parent's checksum differs, and ObjectMissing where it is not there.
    """
    sequences = manifest_sequences(store, job)
    chain: list[Manifest] = []
    sequence, promised = (sequences[-1], None) if sequences else (0, None)
    while sequence:
        manifest, sha256 = read_manifest(store, job, sequence)
        if promised not in (None, sha256):
            raise ObjectCorrupt(key=layout.manifest(job, sequence), what="the next manifest follows another")
        chain.append(manifest)
        sequence, promised = manifest.parent, manifest.parent_sha256
    return [record for manifest in reversed(chain) for record in manifest.commits]
