"""Does this store answer, and is it fit to keep checkpoints? Asked at start."""

import secrets

from graphbed.errors import ObjectExists, StoreUnsafe
from graphbed.storage.objects import ObjectStore


def require_answer(store: ObjectStore) -> None:
    """Ask the store something small. Raises StoreUnavailable, StoreDenied."""
    store.list(f"probes/{secrets.token_hex(16)}")


def probe_create_once(store: ObjectStore) -> None:
    """Create an object twice under a random scratch key and remove it; raise StoreUnsafe unless the second is refused.

    Some S3 servers ignore the condition and overwrite. Raises StoreUnavailable, StoreDenied, StoreFull as any write.
    """
    key = f"probes/{secrets.token_hex(16)}"
    store.create(key, b"first")
    try:
        store.create(key, b"second")
    except ObjectExists:
        return
    finally:
        store.delete(key)
    raise StoreUnsafe(address=store.address)
