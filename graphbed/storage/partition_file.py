"""Partition files: the embeddings of a partition and what the optimizer remembers of each."""

# Shapes: V entities in the partition, D dimension.

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphbed.errors import BadPartition, NotFinite
from graphbed.storage import tensor_file
from graphbed.storage.tensor_file import BadTensorFile, Buffer

EMBEDDINGS = "embeddings"
SUMS = "sums"
HEADER_ROOM = 4096
"""More than the header of a partition file ever takes, bytes."""
_FINITE_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionArrays:
    """What a partition file holds."""

    embeddings: NDArray[np.float32]
    """[V, D]"""
    sums: NDArray[np.float32]
    """The optimizer's state: [V, 1] (Adagrad by row), [V, D] (Adagrad by element) or [V, 2D + 1] (Adam)."""


def pack_partition(arrays: PartitionArrays) -> bytes:
    """The partition as a safetensors file; equal arrays give equal bytes. Raises BadPartition for other shapes."""
    _check_shapes(arrays.embeddings.shape, arrays.sums.shape)
    try:
        return tensor_file.pack({EMBEDDINGS: arrays.embeddings, SUMS: arrays.sums})
    except ValueError as error:
        raise BadPartition(what=str(error)) from None


def unpack_partition(data: Buffer, *, rows: int, dimension: int, key: str) -> PartitionArrays:
    """The arrays as views of `data`, read-only if `data` is; `key` names the object in errors.

    Raises BadPartition if the bytes are anything but `rows` embeddings of `dimension` float32 and their sums.
    """
    try:
        shapes = tensor_file.shapes(data)
        if set(shapes) != {EMBEDDINGS, SUMS}:
            raise BadTensorFile(f"it holds {len(shapes)} tensors, not {EMBEDDINGS} and {SUMS}")
        if shapes[EMBEDDINGS] != (rows, dimension):
            raise BadTensorFile(f"{EMBEDDINGS} is {list(shapes[EMBEDDINGS])}, expected {[rows, dimension]}")
        _check_shapes(shapes[EMBEDDINGS], shapes[SUMS])
        tensors = tensor_file.unpack(data)
    except BadTensorFile as error:
        raise BadPartition(what=str(error), key=key) from None
    except BadPartition as error:
        raise BadPartition(**error.facts, key=key) from None
    return PartitionArrays(embeddings=tensors[EMBEDDINGS], sums=tensors[SUMS])


def max_file_bytes(rows: int, dimension: int) -> int:
    """An upper bound of the size of a partition file of V `rows` and D `dimension`."""
    return HEADER_ROOM + 4 * rows * (dimension + max(_state_columns(dimension)))


def require_finite(arrays: PartitionArrays, where: str) -> None:
    """Raise NotFinite, which names `where`, unless every number is finite. Needs 1 MiB beside the partition."""
    for name, array in ((EMBEDDINGS, arrays.embeddings), (SUMS, arrays.sums)):
        flat = array.reshape(-1)
        for start in range(0, flat.size, _FINITE_CHUNK):
            if not np.isfinite(flat[start : start + _FINITE_CHUNK]).all():
                raise NotFinite(where=f"{name} of {where}")


def _state_columns(dimension: int) -> tuple[int, ...]:
    return 1, dimension, 2 * dimension + 1


def _check_shapes(embeddings: tuple[int, ...], sums: tuple[int, ...]) -> None:
    if len(embeddings) != 2 or embeddings[1] < 1:
        raise BadPartition(what=f"{EMBEDDINGS} is {list(embeddings)}, not [V, D]")
    rows, dimension = embeddings
    columns = _state_columns(dimension)
    if len(sums) != 2 or sums[0] != rows or sums[1] not in columns:
        raise BadPartition(what=f"{SUMS} is {list(sums)}, not [{rows}, {' or '.join(map(str, columns))}]")
