"""Tombstones: the last manifest of a job that was deleted. It names nothing, and keeps its number from being reused.

A job that is submitted under the name later begins with the next number and the next generation. So no manifest, mark
or generation of it is called like one before, and whoever slept through the deletion cannot mistake the one for the
other.
"""

from graphbed.storage.chain import newest_readable
from graphbed.storage.manifest import Manifest, SealedParameters, manifest_sequences
from graphbed.storage.objects import ObjectStore

DELETED = "deleted"
"""The status that a tombstone tells."""


def buried(manifest: Manifest) -> Manifest:
    """`manifest` of a deleted job as its tombstone: the commits since its parent, and nothing that anybody needs."""
    nothing = SealedParameters(base=None, deltas=())
    return manifest.model_copy(
        update={"pointers": (), "progress": (), "parameters": nothing, "epochs": (), "skipped": ()}
    )


def is_tombstone(manifest: Manifest | None) -> bool:
    """Whether `manifest` says that its job was deleted."""
    return manifest is not None and manifest.status == DELETED


def tombstone(store: ObjectStore, job: str) -> Manifest | None:
    """The newest manifest, if it is a tombstone: the job was deleted and not submitted since."""
    newest = newest_readable(store, job)
    return newest if is_tombstone(newest) else None


def is_name_free(store: ObjectStore, job: str) -> bool:
    """Whether the job was deleted to the end. Its job.yaml goes before its older manifests, which go last."""
    buried = tombstone(store, job)
    return buried is not None and manifest_sequences(store, job) == [buried.sequence]
