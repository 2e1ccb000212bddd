"""Tensors survive the wire whole, or are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbed.clients.tensors import SLICE_BYTES, join_tensors, slice_tensors
from graphbed.errors import InputError, TooLarge
from graphbed.v1 import paramserver_pb2 as pb

LIMIT = 64 << 20


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 600), st.sampled_from([None, 1, 7, 4096])), min_size=1, max_size=3))
def test_whatever_is_cut_is_joined_again(shapes: list[tuple[int, int | None]]):
    rng = np.random.default_rng(len(shapes))
    tensors = {
        f"t{number}/values": rng.random((rows,) if width is None else (rows, width), dtype=np.float32)
        for number, (rows, width) in enumerate(shapes)
    }
    pieces = list(slice_tensors("job", tensors))
    assert max(len(piece.data) for piece in pieces) <= SLICE_BYTES
    job, joined = join_tensors(pieces, max_bytes=1 << 30)
    assert job == "job"
    assert joined.keys() == tensors.keys()
    assert all(np.array_equal(joined[name], tensors[name]) for name in tensors)


def pieces() -> list[pb.TensorSlice]:
    return list(slice_tensors("job", {"t": np.zeros((600, 1024), np.float32)}))


def test_a_missing_repeated_or_displaced_slice_is_refused():
    first, second, third = pieces()
    for wrong in ([first, second], [second, third], [first, first, second, third], [first, third, second], []):
        with pytest.raises(InputError):
            join_tensors(wrong, max_bytes=LIMIT)


@pytest.mark.parametrize(
    "changes",
    [
        {"job": "other"},
        {"shape": [601, 1024]},
        {"shape": [600 * 1024]},
        {"data": b"123"},
        {"data": b""},
        {"first_row": 7},
        {"data": bytes(4096 * 700)},
    ],
)
def test_a_slice_that_contradicts_the_others_is_refused(changes: dict[str, object]):
    first, second, third = pieces()
    for name, value in changes.items():
        second.ClearField(name)  # type: ignore[arg-type]
        second.MergeFrom(pb.TensorSlice(**{name: value}))  # type: ignore[arg-type]
    with pytest.raises(InputError):
        join_tensors([first, second, third], max_bytes=LIMIT)


@pytest.mark.parametrize("shape", [[], [0], [3, 0], [1, 2, 3], [2, 1 << 20]])
def test_a_shape_that_no_tensor_has_is_refused(shape: list[int]):
    with pytest.raises(InputError):
        join_tensors([pb.TensorSlice(job="job", name="t", shape=shape, data=b"1234")], max_bytes=1 << 40)


@pytest.mark.parametrize("name", ["", "../t", "/t", "a b", "t" * 300])
def test_a_name_that_no_tensor_has_is_refused(name: str):
    with pytest.raises(InputError):
        join_tensors([pb.TensorSlice(job="job", name=name, shape=[1], data=b"1234")], max_bytes=LIMIT)


def test_a_huge_shape_is_refused_before_memory_is_taken():
    huge = pb.TensorSlice(job="job", name="t", shape=[4_000_000_000, 65536], data=bytes(4 * 65536))
    with pytest.raises(TooLarge):
        join_tensors([huge], max_bytes=LIMIT)


def test_only_float32_is_sent():
    with pytest.raises(InputError, match="float64"):
        list(slice_tensors("job", {"t": np.zeros(3)}))  # type: ignore[dict-item]
