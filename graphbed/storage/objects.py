"""What an object store can do, whatever it is made of."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from graphbed.errors import ObjectCorrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that is durable: its key, its size in bytes, the SHA-256 of its bytes."""

    key: str
    size: int
    sha256: str


class ObjectStore(Protocol):
    """Immutable objects under keys such as `jobs/j/job.yaml`. Safe for concurrent threads.

    Every method raises StoreUnavailable, StoreDenied or StoreFull with the store's address when the store itself fails.
    """

    @property
    def address(self) -> str:
        """For people: where the store is, without secrets."""
        ...

    def create(self, key: str, data: bytes) -> StoredObject:
        """Write a small object that must not exist yet; durable on return. Raises ObjectExists."""
        ...

    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        """Write an object under a name that nobody else writes; atomic, durable on return, replaces an equal one."""
        ...

    def put_stream(self, key: str, chunks: Iterable[bytes], *, size: int, sha256: str) -> StoredObject:
        """As `put`, from a stream; raises ObjectCorrupt, and leaves no object, if size or checksum differ."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectMissing."""
        ...

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The object in pieces of at most `chunk_bytes`. Raises ObjectMissing before the first piece."""
        ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int:
        """How many bytes the object has. Raises ObjectMissing."""
        ...

    def list(self, prefix: str) -> list[str]:
        """All keys that begin with `prefix`, sorted."""
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """The size in bytes of every object whose key begins with `prefix`, in the order of `list`."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; no error if it is not there."""
        ...

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove the objects, with few requests; no error for those that are not there. A failure may leave a part."""
        ...

    def abort_unfinished(self, *, older_than_seconds: float, prefix: str = "") -> int:
        """Remove what writers began so long ago and never finished; return how many there were.

        With `prefix`, only what was to have a key that begins with it; nothing where the store cannot tell that.

        The age is told by the store's clock and compared with this machine's: give it hours, so that neither a slow
        upload nor a wrong clock matters.
        """
        ...


def sha256_hex(data: bytes | memoryview) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def get_verified(store: ObjectStore, key: str, *, size: int, sha256: str) -> bytes:
    """The object, if its bytes are the ones that were stored. Raises ObjectMissing, ObjectCorrupt."""
    data = store.get(key)
    if len(data) != size or sha256_hex(data) != sha256:
        raise ObjectCorrupt(key=key, store=store.address)
    return data
