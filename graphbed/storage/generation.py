"""Generations: create-only objects that number the lives of a job's state."""

from graphbed.errors import ObjectExists
from graphbed.storage import layout
from graphbed.storage.document import Document, parse_document
from graphbed.storage.objects import ObjectStore

FORMAT = 1
"""Number of this layout."""


class Generation(Document):
    """One uninterrupted life of a job's state: who began it, where, and why."""

    format: int = FORMAT
    job: str
    number: int
    """1, 2, 3, … without gaps."""
    nonce: str
    """Random; tells a claimer whose reply was lost that the generation it finds is its own."""
    server: str
    """The lock server that claimed it; for people."""
    reason: str
    """Why the one before it ended."""
    state_identity: str
    """Identity of the state store that holds this generation's state."""
    claimed_at: float
    """Wall clock, seconds since 1970; for people."""


def generation_numbers(store: ObjectStore, job: str) -> list[int]:
    """Numbers of the generations that exist, ascending."""
    return layout.numbers(store.list(layout.generations(job)), layout.generations(job))


def newest_generation(store: ObjectStore, job: str) -> int:
    """Number of the newest generation, 0 if there is none yet."""
    return max(generation_numbers(store, job), default=0)


def read_generation(store: ObjectStore, job: str, number: int) -> Generation:
    """Generation `number`. Raises ObjectMissing, ObjectTooNew, ObjectCorrupt."""
    key = layout.generation(job, number)
    return parse_document(Generation, store.get(key), newest_format=FORMAT, key=key, store=store)


def claim_generation(store: ObjectStore, generation: Generation) -> bool:
    """Create it; True also if an earlier try did and its answer was lost. False: somebody else has this number."""
    try:
        store.create(layout.generation(generation.job, generation.number), generation.to_json())
    except ObjectExists:
        return read_generation(store, generation.job, generation.number).nonce == generation.nonce
    return True
