"""Pins: manifests that garbage collection must leave whole, because an operator or a reader needs them."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from graphbed.errors import (
    CheckpointCondemned,
    CheckpointIncomplete,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    PinDiffers,
    PinUnknown,
)
from graphbed.storage import layout
from graphbed.storage.condemned import is_condemned
from graphbed.storage.document import Document
from graphbed.storage.manifest import read_manifest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.retention import Told


class PinDocument(Document):
    """What a pin says."""

    sequence: int = Field(ge=1)
    """The manifest that is needed."""
    written_at: float | None = None
    """Wall clock, seconds since 1970; for people, never compared. None: a reader's, which says how it goes instead."""
    accepted: bool = False
    """Every object was found after the pin was visible; so the manifest stays whole, marked as condemned or not."""
    renewals: int = Field(default=0, ge=0)
    """How often a reader has said that it still reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A pin that is in the store."""

    key: str
    name: str
    reader: bool
    """Made by a reader, and gone when it has not been renewed for long; an operator's stays until it is removed."""
    document: PinDocument


def read_pins(store: ObjectStore, job: str) -> list[Pin]:
    """All pins of a job, those of readers included. Raises ObjectCorrupt if one cannot be understood."""
    pins = []
    for prefix in (layout.pins(job), layout.readers(job)):
        for key in store.list(prefix):
            try:
                document = _parse(key, store.get(key))
            except ObjectMissing:
                continue  # removed since it was listed
            name = key.removeprefix(prefix).removesuffix(".json")
            pins.append(Pin(key=key, name=name, reader=prefix == layout.readers(job), document=document))
    return pins


def names_by_sequence(pins: Iterable[Pin]) -> dict[int, list[str]]:
    """For each pinned manifest, what its pins are called: `pin NAME` or `reader NAME`."""
    names: dict[int, list[str]] = {}
    for pin in pins:
        names.setdefault(pin.document.sequence, []).append(f"{'reader' if pin.reader else 'pin'} {pin.name}")
    return names


def pin_manifest(store: ObjectStore, job: str, sequence: int, name: str, *, written_at: float) -> None:
    """Pin manifest `sequence` under `name`; on return the pin is durable and every object of the manifest is there.

    The same pin may be asked for again. Raises PinDiffers if the name pins another manifest, CheckpointCondemned or
    CheckpointIncomplete if the manifest is not whole any more, ObjectMissing if there is none, BadName.
    """
    read_manifest(store, job, sequence)
    key = layout.pin(job, name)
    document = PinDocument(sequence=sequence, written_at=written_at)
    created = True
    try:
        store.create(key, document.to_json())
    except ObjectExists:
        created = False
        found = _parse(key, store.get(key))
        if found.sequence != sequence:
            raise PinDiffers(name=name, sequence=found.sequence) from None
    try:
        require_whole(store, job, sequence)
    except CheckpointIncomplete:
        # A pin that others made is theirs to take back.
        if created:
            store.delete(key)
        raise
    store.put(key, document.model_copy(update={"accepted": True}).to_json())


def require_whole(store: ObjectStore, job: str, sequence: int) -> None:
    """Raise CheckpointIncomplete unless all that manifest `sequence` names is there; it stays if a pin was there."""
    require_kept(store, job, sequence)
    manifest, _ = read_manifest(store, job, sequence)
    for key in sorted(Told.by(manifest).named):
        if not store.exists(key):
            raise CheckpointIncomplete(job=job, sequence=sequence, key=key)


def require_kept(store: ObjectStore, job: str, sequence: int) -> None:
    """Raise CheckpointCondemned if objects of manifest `sequence` may be deleted. A pin must have been visible before.

    One that is marked as condemned is kept nevertheless if a pin was accepted before the mark was made.
    """
    if is_condemned(store, job, sequence) and not _is_accepted(store, job, sequence):
        raise CheckpointCondemned(job=job, sequence=sequence)


def _is_accepted(store: ObjectStore, job: str, sequence: int) -> bool:
    """Whether there is a pin of this manifest whose maker found it whole."""
    documents = (pin.document for pin in read_pins(store, job))
    return any(document.sequence == sequence and document.accepted for document in documents)


def unpin(store: ObjectStore, job: str, name: str) -> int:
    """Remove a pin, an operator's or a reader's, and return the manifest it pinned. Raises PinUnknown."""
    for pin in read_pins(store, job):
        if pin.name == name:
            store.delete(pin.key)
            return pin.document.sequence
    raise PinUnknown(job=job, name=name)


def _parse(key: str, data: bytes) -> PinDocument:
    try:
        return PinDocument.model_validate_json(data)
    except ValueError as error:
        raise ObjectCorrupt(key=key, what="it is no pin; remove it, and pin anew what it pinned") from error
