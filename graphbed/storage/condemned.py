"""Condemned manifests: marked in the store before the first of their objects may be deleted, and for good."""

from contextlib import suppress

from graphbed.errors import ObjectExists
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore

# Whoever needs a manifest makes that visible first (a pin) and looks for the mark then; whoever deletes makes the mark
# first and looks for pins then. So one of the two sees the other, however long either pauses in between.


def condemn(store: ObjectStore, job: str, sequence: int) -> None:
    """Mark manifest `sequence`; done again, nothing happens."""
    with suppress(ObjectExists):
        store.create(layout.condemned_manifest(job, sequence), b"")


def condemned_sequences(store: ObjectStore, job: str) -> set[int]:
    """Numbers of the marked manifests."""
    prefix = layout.condemned_manifests(job)
    return set(layout.numbers(store.list(prefix), prefix, ending=""))


def is_condemned(store: ObjectStore, job: str, sequence: int) -> bool:
    """Whether manifest `sequence` is marked. If not, a pin of it that was visible before keeps it whole."""
    return store.exists(layout.condemned_manifest(job, sequence))
