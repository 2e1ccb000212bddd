"""Tensors on the wire: cut into messages of whole rows, and joined again with every row checked."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphbed.errors import InputError, TooLarge
from graphbed.v1 import paramserver_pb2

Tensor: TypeAlias = NDArray[np.float32]
Tensors: TypeAlias = dict[str, Tensor]

SLICE_BYTES = 1 << 20
"""Most numbers that travel in one message. A row has at most 65,536 of 4 bytes, so at least four rows fit."""

MAX_TENSORS = 4096
"""Most tensors of one job; relations of one group share a tensor, so jobs have tens."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
_WIRE = np.dtype("<f4")


def check_tensor_name(name: str) -> str:
    """Return `name` if it may name a tensor; raise InputError otherwise."""
    if not _NAME.fullmatch(name):
        raise InputError(what=f"{name[:80]!r} cannot name a tensor")
    return name


def slice_tensors(job: str, tensors: Mapping[str, Tensor]) -> Iterator[paramserver_pb2.TensorSlice]:
    """Messages of at most SLICE_BYTES that hold `tensors`, float32 of shape [R] or [R, K], in the order of their names.

    Raises InputError for any other shape or type.
    """
    for name in sorted(tensors):
        tensor = tensors[name]
        _check_shape(name, tensor.shape)
        if tensor.dtype != np.float32:
            raise InputError(what=f"tensor {name} is {tensor.dtype}, not float32")
        rows = max(SLICE_BYTES // _row_bytes(tensor.shape), 1)
        for first in range(0, tensor.shape[0], rows):
            yield paramserver_pb2.TensorSlice(
                job=job,
                name=name,
                shape=tensor.shape,
                first_row=first,
                data=np.ascontiguousarray(tensor[first : first + rows], dtype=_WIRE).tobytes(),
            )


@dataclass(slots=True)
class _Unfinished:
    tensor: Tensor
    rows: int = 0


class TensorJoiner:
    """Collects slices, in order of their rows, into whole tensors of one job; holds at most `max_bytes`."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._tensors: dict[str, _Unfinished] = {}
        self.job = ""

    def add(self, piece: paramserver_pb2.TensorSlice) -> None:
        """Take in the next slice. Raises InputError if it does not fit the ones before, TooLarge above the limit."""
        if self._tensors and piece.job != self.job:
            raise InputError(what="the slices of one stream belong to one job")
        self.job = piece.job
        shape = tuple(piece.shape)
        unfinished = self._tensors.get(piece.name) or self._begin(piece.name, shape)
        if shape != unfinished.tensor.shape:
            raise InputError(what=f"tensor {piece.name} changes its shape between slices")
        rows, rest = divmod(len(piece.data), _row_bytes(shape))
        end = unfinished.rows + rows
        if rest or rows == 0 or piece.first_row != unfinished.rows or end > shape[0]:
            raise InputError(what=f"tensor {piece.name}: the slices do not cover its rows one after another")
        unfinished.tensor[unfinished.rows : end] = np.frombuffer(piece.data, dtype=_WIRE).reshape(rows, *shape[1:])
        unfinished.rows = end

    def finish(self) -> Tensors:
        """All tensors. Raises InputError if rows are missing, or there is none."""
        if not self._tensors:
            raise InputError(what="a stream of tensors holds at least one")
        for name, unfinished in self._tensors.items():
            if unfinished.rows != unfinished.tensor.shape[0]:
                raise InputError(what=f"tensor {name}: the slices end before its last row")
        return {name: unfinished.tensor for name, unfinished in self._tensors.items()}

    def _begin(self, name: str, shape: tuple[int, ...]) -> _Unfinished:
        check_tensor_name(name)
        _check_shape(name, shape)
        self._bytes += math.prod(shape) * _WIRE.itemsize
        if self._bytes > self._max_bytes or len(self._tensors) >= MAX_TENSORS:
            raise TooLarge(what="the set of tensors of one job", limit_bytes=self._max_bytes, limit=MAX_TENSORS)
        unfinished = _Unfinished(np.empty(shape, dtype=np.float32))
        self._tensors[name] = unfinished
        return unfinished


def join_tensors(pieces: Iterable[paramserver_pb2.TensorSlice], *, max_bytes: int) -> tuple[str, Tensors]:
    """The job and the tensors that `pieces` hold. Raises InputError, TooLarge."""
    joiner = TensorJoiner(max_bytes=max_bytes)
    for piece in pieces:
        joiner.add(piece)
    return joiner.job, joiner.finish()


def _check_shape(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) not in (1, 2) or min(shape) < 1 or _row_bytes(shape) > SLICE_BYTES:
        raise InputError(what=f"tensor {name} has the shape {list(shape)}; it must be [R] or [R, K], rows up to 1 MiB")


def _row_bytes(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:]) * _WIRE.itemsize
