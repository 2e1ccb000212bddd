"""Partition and parameter files: read by others, and refused when they are anything else."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from graphbed.errors import BadPartition, NotFinite, ObjectCorrupt, TooLarge
from graphbed.storage.parameter_file import pack_tensors, unpack_tensors
from graphbed.storage.partition_file import (
    PartitionArrays,
    max_file_bytes,
    pack_partition,
    require_finite,
    unpack_partition,
)


def arrays(rows: int = 5, dimension: int = 4, columns: int = 1, seed: int = 0) -> PartitionArrays:
    random = np.random.default_rng(seed)
    return PartitionArrays(
        embeddings=random.standard_normal((rows, dimension), dtype=np.float32),
        sums=random.random((rows, columns), dtype=np.float32),
    )


def file_of(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


@given(rows=st.integers(0, 40), dimension=st.integers(1, 9), by_row=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_partition_is_read_back_and_the_safetensors_library_reads_it_too(
    rows: int, dimension: int, by_row: bool
) -> None:
    written = arrays(rows, dimension, 1 if by_row else dimension, seed=rows)
    data = pack_partition(written)
    assert len(data) <= max_file_bytes(rows, dimension)
    read = unpack_partition(data, rows=rows, dimension=dimension, key="k")
    theirs = load(data)
    for name in ("embeddings", "sums"):
        expected = getattr(written, name)
        assert np.array_equal(getattr(read, name), expected)
        assert getattr(read, name).dtype == np.float32
        assert np.array_equal(theirs[name], expected)
    assert len(theirs) == 2


def test_what_the_safetensors_library_wrote_is_read() -> None:
    written = arrays()
    read = unpack_partition(
        save({"sums": written.sums, "embeddings": written.embeddings}), rows=5, dimension=4, key="k"
    )
    assert np.array_equal(read.embeddings, written.embeddings)
    assert np.array_equal(read.sums, written.sums)


def test_equal_arrays_give_equal_bytes_whatever_their_memory_layout() -> None:
    written = arrays()
    columns_first = PartitionArrays(embeddings=np.asfortranarray(written.embeddings), sums=written.sums)
    assert pack_partition(columns_first) == pack_partition(written)


def test_reading_copies_nothing() -> None:
    data = bytearray(pack_partition(arrays()))
    read = unpack_partition(data, rows=5, dimension=4, key="k")
    read.embeddings[0, 0] = 7.0
    assert unpack_partition(data, rows=5, dimension=4, key="k").embeddings[0, 0] == 7.0
    assert not unpack_partition(bytes(data), rows=5, dimension=4, key="k").embeddings.flags.writeable


@pytest.mark.parametrize(("rows", "dimension"), [(4, 4), (6, 4), (5, 3), (5, 5), (0, 4)])
def test_another_shape_than_expected_is_refused(rows: int, dimension: int) -> None:
    with pytest.raises(BadPartition, match="embeddings is") as refused:
        unpack_partition(pack_partition(arrays()), rows=rows, dimension=dimension, key="the/key")
    assert refused.value.facts["key"] == "the/key"


def test_sums_of_another_width_are_refused() -> None:
    wrong = save({"embeddings": arrays().embeddings, "sums": np.zeros((5, 2), np.float32)})
    with pytest.raises(BadPartition, match="sums is"):
        unpack_partition(wrong, rows=5, dimension=4, key="k")


@pytest.mark.parametrize(
    "tensors",
    [
        {"embeddings": np.zeros((5, 4), np.float32)},
        {"embeddings": np.zeros((5, 4), np.float32), "sums": np.zeros((5, 1), np.float64)},
        {"embeddings": np.zeros((5, 4), np.float16), "sums": np.zeros((5, 1), np.float32)},
        {"embeddings": np.zeros((5, 4), np.float32), "sums": np.zeros(5, np.float32)},
        {
            "embeddings": np.zeros((5, 4), np.float32),
            "sums": np.zeros((5, 1), np.float32),
            "more": np.zeros(1, np.float32),
        },
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(BadPartition):
        unpack_partition(save(tensors), rows=5, dimension=4, key="k")


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        struct.pack("<Q", 1 << 60),
        struct.pack("<Q", 8) + b"not json",
        struct.pack("<Q", 3) + b"{} ",
        file_of(b"[" * 100_000),
        file_of([]),
        file_of({"embeddings": 1}),
        file_of({"embeddings": entry([1, 1], 0, 4), "sums": entry([1, 1], 4, 8)}, bytes(7)),
        file_of({"embeddings": entry([1, 1], 0, 4), "sums": entry([1, 1], 4, 8)}, bytes(9)),
        file_of({"embeddings": entry([1, 1], 0, 4), "sums": entry([1, 1], 0, 4)}, bytes(4)),
        file_of({"embeddings": entry([1 << 62, 1 << 62], 0, 4), "sums": entry([1, 1], 4, 8)}, bytes(8)),
        file_of({"embeddings": entry([-1, -1], 0, 4), "sums": entry([1, 1], 4, 8)}, bytes(8)),
        file_of({"embeddings": entry([1, 1], -4, 0), "sums": entry([1, 1], 0, 4)}, bytes(4)),
        file_of({"embeddings": {**entry([1, 1], 0, 4), "code": "x"}, "sums": entry([1, 1], 4, 8)}, bytes(8)),
    ],
    ids=range(15),
)
def test_damaged_headers_are_refused(data: bytes) -> None:
    with pytest.raises(BadPartition):
        unpack_partition(data, rows=1, dimension=1, key="k")


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_is_done_to_the_bytes_reading_ends_in_arrays_or_a_refusal(data: st.DataObject) -> None:
    damaged = bytearray(pack_partition(arrays()))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = unpack_partition(bytes(damaged), rows=5, dimension=4, key="k")
    except BadPartition:
        return
    assert read.embeddings.shape == (5, 4)
    assert read.sums.shape == (5, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["embeddings", "sums"])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(value: float, where: str) -> None:
    found = arrays(rows=300_000, dimension=4)
    require_finite(found, "e/0")
    getattr(found, where)[-1, -1] = value
    with pytest.raises(NotFinite, match=f"{where} of e/0"):
        require_finite(found, "e/0")


def test_arrays_of_other_types_are_not_written() -> None:
    with pytest.raises(BadPartition):
        pack_partition(PartitionArrays(embeddings=np.zeros((2, 2)), sums=np.zeros((2, 1), np.float32)))
    with pytest.raises(BadPartition):
        pack_partition(PartitionArrays(embeddings=np.zeros(2, np.float32), sums=np.zeros((2, 1), np.float32)))


def test_parameters_of_any_shape_are_read_back_in_equal_bytes() -> None:
    tensors = {
        "relations/1/rhs/values": np.arange(6, dtype=np.float32).reshape(2, 3),
        "relations/0/rhs/sums": np.ones((1, 1), np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(3.5, dtype=np.float32),
    }
    data = pack_tensors(tensors)
    assert pack_tensors(dict(reversed(tensors.items()))) == data
    read = unpack_tensors(data, key="k", max_bytes=len(data))
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].shape == tensor.shape
        assert np.array_equal(read[name], tensor)
        assert np.array_equal(load(data)[name], tensor)


def test_no_parameters_at_all_are_a_file_too() -> None:
    assert unpack_tensors(pack_tensors({}), key="k", max_bytes=1000) == {}


def test_parameter_objects_are_bounded_and_named_when_refused() -> None:
    data = pack_tensors({"a": np.zeros(10, np.float32)})
    with pytest.raises(TooLarge, match="the/key"):
        unpack_tensors(data, key="the/key", max_bytes=len(data) - 1)
    with pytest.raises(ObjectCorrupt, match="the/key"):
        unpack_tensors(data[:-1], key="the/key", max_bytes=1000)
    with pytest.raises(ValueError, match="float32"):
        pack_tensors({"a": np.zeros(2)})
