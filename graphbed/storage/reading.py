"""Reading a checkpoint while its job goes on: the reader pins what it reads, and says now and then that it lives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from graphbed.clock import Clock
from graphbed.errors import CheckpointCondemned, GraphbedError, StoreDenied, StoreFull
from graphbed.storage import layout
from graphbed.storage.manifest import Manifest, require_newest
from graphbed.storage.objects import ObjectStore
from graphbed.storage.pins import PinDocument, require_kept

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
        manifest = _pin_newest(store, job, reader_id)
    except (StoreDenied, StoreFull) as error:
        # Keys that may not even read are the error of this call.
        newest = require_newest(store, job)
        unprotected(error)
        yield newest
        return
    done = threading.Event()
    arguments = (store, job, reader_id, manifest.sequence, clock, done)
    thread = threading.Thread(target=_renew, args=arguments, name="reader", daemon=True)
    thread.start()
    try:
        yield manifest
    finally:
        done.set()
        thread.join()
        _let_go(store, job, reader_id)


@contextmanager
def pinned_for_a_moment(store: ObjectStore, job: str, sequence: int, *, reader_id: str) -> Iterator[None]:
    """Manifest `sequence` stays whole as long as the context lasts, minutes at most. Raises CheckpointCondemned."""
    _write(store, job, reader_id, sequence)
    try:
        require_kept(store, job, sequence)
        yield
    finally:
        _let_go(store, job, reader_id)


def _pin_newest(store: ObjectStore, job: str, reader_id: str) -> Manifest:
    for attempt in range(1, ATTEMPTS + 1):
        manifest = require_newest(store, job)
        _write(store, job, reader_id, manifest.sequence)
        try:
            require_kept(store, job, manifest.sequence)
        except CheckpointCondemned:
            if attempt == ATTEMPTS:
                _let_go(store, job, reader_id)
                raise
        else:
            break
    return manifest


def _renew(store: ObjectStore, job: str, reader_id: str, sequence: int, clock: Clock, done: threading.Event) -> None:
    renewals = 0
    while not clock.wait(done, RENEW_SECONDS):
        renewals += 1
        # A store that is away for a while is asked again; what is read is kept for many times this period.
        with suppress(GraphbedError):
            _write(store, job, reader_id, sequence, renewals)


def _write(store: ObjectStore, job: str, reader_id: str, sequence: int, renewals: int = 0) -> None:
    document = PinDocument(sequence=sequence, renewals=renewals)
    store.put(layout.reader(job, reader_id), document.to_json())


def _let_go(store: ObjectStore, job: str, reader_id: str) -> None:
    # A pin that stays is forgotten when it has not been renewed for long.
    with suppress(GraphbedError):
        store.delete(layout.reader(job, reader_id))
