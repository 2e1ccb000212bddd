"""Safetensors files of float32 matrices: written with one copy, read without any, and bounded before a byte is used.

The format (https://github.com/huggingface/safetensors): the header's length in 8 bytes, little-endian; a JSON header
that gives dtype, shape and place of each tensor; the numbers. The library's own reader copies every tensor and its
writer copies twice; a partition may be gigabytes, hence this one. The tests read its files with the library and back.
"""

import json
import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_HEADER_BYTES = 16 << 20
"""A header entry takes about 150 bytes, so this is room for 100,000 tensors."""

Buffer = bytes | bytearray | memoryview


class BadTensorFile(ValueError):
    """The bytes are not a safetensors file of float32 tensors; the message says what is wrong."""


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    dtype: str = Field(max_length=16)
    shape: list[int] = Field(max_length=8)
    data_offsets: list[int] = Field(min_length=2, max_length=2)


_HEADER: TypeAdapter[dict[str, _Entry]] = TypeAdapter(dict[str, _Entry])


def pack(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The tensors as one file, in the order of their names. Equal tensors give equal bytes."""
    header: dict[str, object] = {}
    parts: list[bytes | memoryview] = []
    end = 0
    for name in sorted(tensors):
        tensor = np.asarray(tensors[name], order="C")  # unlike ascontiguousarray this keeps a scalar a scalar
        if tensor.dtype != np.dtype("<f4"):
            raise ValueError(f"tensor {name} is {tensor.dtype}, not float32")
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        # An empty array has no memoryview of bytes.
        parts.append(tensor.data.cast("B") if tensor.size else b"")
        end += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of 8
    return b"".join([struct.pack("<Q", len(text)), text, *parts])


def shapes(data: Buffer) -> dict[str, tuple[int, ...]]:
    """Name → shape, after checking that the header accounts for every byte. Raises BadTensorFile."""
    return {name: tuple(entry.shape) for name, entry in _header(data)[0].items()}


def unpack(data: Buffer) -> dict[str, NDArray[np.float32]]:
    """The tensors as views of `data`: read-only if `data` is. Raises BadTensorFile before anything is allocated."""
    entries, start = _header(data)
    return {
        name: np.frombuffer(
            data,
            dtype="<f4",
            count=(entry.data_offsets[1] - entry.data_offsets[0]) // 4,
            offset=start + entry.data_offsets[0],
        ).reshape(entry.shape)
        for name, entry in entries.items()
    }


def _header(data: Buffer) -> tuple[dict[str, _Entry], int]:
    """The checked header and where the numbers begin."""
    if len(data) < 8:
        raise BadTensorFile(f"only {len(data)} bytes")
    (length,) = struct.unpack_from("<Q", data)
    start = 8 + length
    if length > MAX_HEADER_BYTES or start > len(data):
        raise BadTensorFile(f"a header of {length} bytes in a file of {len(data)}")
    if length % 8:
        raise BadTensorFile("its header is not padded to a multiple of 8 bytes")
    try:
        entries = _HEADER.validate_json(bytes(memoryview(data)[8:start]))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadTensorFile(f"its header cannot be read: {first['msg']}") from None
    _check_places(entries, len(data) - start)
    return entries, start


def _check_places(entries: dict[str, _Entry], room: int) -> None:
    """Every tensor is float32, fills exactly its place, and the places follow one another up to the end."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        size = 4
        for length in entry.shape:
            if length < 0:
                raise BadTensorFile(f"tensor {name!r} has a negative length")
            size *= length
        if entry.dtype != "F32":
            raise BadTensorFile(f"tensor {name!r} is {entry.dtype}, not F32")
        if entry.data_offsets != [end, end + size]:
            raise BadTensorFile(f"tensor {name!r} is not where its shape says")
        end += size
    if end != room:
        raise BadTensorFile(f"its tensors take {end} bytes, {room} are there")
