"""Parameter objects: deltas and bases as they lie in the object store."""

from collections.abc import Mapping

import numpy as np

from graphbed.clients.tensors import MAX_TENSORS, Tensors, check_tensor_name
from graphbed.errors import NotFinite, ObjectCorrupt, TooLarge
from graphbed.storage.objects import ObjectStore, get_verified
from graphbed.storage.parameter_file import pack_tensors, unpack_tensors
from graphbed.storage.receipt import Receipt


class ParameterObjects:
    """Reads and writes them, at most `max_bytes` each."""

    def __init__(self, store: ObjectStore, *, max_bytes: int) -> None:
        self._store = store
        # The file's header comes on top of the numbers.
        self._max_bytes = max_bytes + (2 << 20)

    def write(self, key: str, tensors: Tensors) -> Receipt:
        """Make `tensors` durable as `key`. Raises StoreUnavailable, StoreFull, StoreDenied."""
        stored = self._store.put(key, pack_tensors(tensors))
        return Receipt(key=stored.key, size=stored.size, sha256=stored.sha256, finite=True)

    def read(self, receipt: Receipt, shapes: Mapping[str, tuple[int, ...]]) -> Tensors:
        """The tensors of `receipt`, verified; of the shapes `shapes` unless that is empty.

        Raises ObjectMissing, ObjectCorrupt, TooLarge.
        """
        if receipt.size > self._max_bytes:
            raise TooLarge(what=f"the parameter object {receipt.key}", size=receipt.size, limit=self._max_bytes)
        data = get_verified(self._store, receipt.key, size=receipt.size, sha256=receipt.sha256)
        return self._unpack(receipt.key, data, shapes)

    def find(self, key: str, shapes: Mapping[str, tuple[int, ...]]) -> Tensors | None:
        """The tensors under `key`, or None if there is no such object. Raises ObjectCorrupt, TooLarge."""
        return self._unpack(key, self._store.get(key), shapes) if self._store.exists(key) else None

    def _unpack(self, key: str, data: bytes, shapes: Mapping[str, tuple[int, ...]]) -> Tensors:
        tensors = unpack_tensors(data, key=key, max_bytes=self._max_bytes)
        if len(tensors) > MAX_TENSORS:
            raise TooLarge(what=f"the number of tensors in {key}", limit=MAX_TENSORS)
        for name, tensor in tensors.items():
            check_tensor_name(name)
            if shapes and shapes.get(name) != tensor.shape:
                raise ObjectCorrupt(key=key, what=f"the tensor {name} has the shape {list(tensor.shape)}")
        require_finite(tensors, key)
        return tensors


def require_finite(tensors: Tensors, where: str) -> None:
    """Raise NotFinite if a number in `tensors` is NaN or infinite."""
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise NotFinite(where=f"{name} of {where}")
