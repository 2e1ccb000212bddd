"""Reading a checkpoint while its job goes on: the reader pins what it reads, and says now and then that it lives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from graphbed.clock import Clock
from graphbed.errors import CheckpointCondemned, GraphbedError, StoreDenied, StoreFull
from graphbed.storage import layout
from graphbed.storage.condemned import is_condemned
from graphbed.storage.manifest import Manifest, require_newest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import PinDocument

RENEW_SECONDS = 60.0
"""How often a reader says that it still reads; whoever collects waits many times as long before it forgets one."""
ATTEMPTS = 5
"""How often the newest manifest may have been replaced, and condemned, before its pin was visible."""


@contextmanager
def newest_pinned(
    store: ObjectStore, job: str, *, reader_id: str, clock: Clock, unprotected: Callable[[GraphbedError], None]
) -> Iterator[Manifest]:
    """The newest manifest of a job, whose objects stay as long as the context lasts; `reader_id` is random.

    Where nothing can be written, `unprotected` is told why, and the manifest is given without protection. Raises
    CheckpointMissing, and CheckpointCondemned if manifests come and go too fast.
    """
    try:
        manifest = _pin_newest(store, job, reader_id, clock)
    except (StoreDenied, StoreFull) as error:
        unprotected(error)
        yield require_newest(store, job)
        return
    done = threading.Event()
    thread = threading.Thread(
        target=_renew, args=(store, job, reader_id, manifest.sequence, clock, done), name="reader", daemon=True
    )
    thread.start()
    try:
        yield manifest
    finally:
        done.set()
        thread.join()
        # A pin that stays is forgotten when it has not been renewed for long.
        with suppress(GraphbedError):
            store.delete(layout.reader(job, reader_id))


def _pin_newest(store: ObjectStore, job: str, reader_id: str, clock: Clock) -> Manifest:
    for _ in range(ATTEMPTS):
        manifest = require_newest(store, job)
        _write(store, job, reader_id, PinDocument(sequence=manifest.sequence, written_at=clock.wall()))
        if not is_condemned(store, job, manifest.sequence):
            return manifest
    store.delete(layout.reader(job, reader_id))
    raise CheckpointCondemned(job=job, sequence=manifest.sequence)


def _renew(store: ObjectStore, job: str, reader_id: str, sequence: int, clock: Clock, done: threading.Event) -> None:
    renewals = 0
    while not clock.wait(done, RENEW_SECONDS):
        renewals += 1
        # A store that is away for a while is asked again; what is read is kept for many times this period.
        with suppress(GraphbedError):
            document = PinDocument(sequence=sequence, written_at=clock.wall(), renewals=renewals)
            _write(store, job, reader_id, document)


def _write(store: ObjectStore, job: str, reader_id: str, document: PinDocument) -> None:
    store.put(layout.reader(job, reader_id), document.model_dump_json().encode())
