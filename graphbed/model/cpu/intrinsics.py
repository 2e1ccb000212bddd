"""What the kernels need beyond Numba's Python: products into parts of arrays, bits of a float, a clock, prefetching.

Each is a plain Python function, which uncompiled kernels call, with a compiled counterpart that Numba takes instead.
"""

# mypy: allow-untyped-defs
# Numba wants the same annotations on an overload and on what it returns: they have none.

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from graphbed.model.cpu.blas import COLUMN_MAJOR, NOT_TURNED, SGEMM, TURNED


def power_of_two(biased: np.int32) -> np.float32:
    """2^(biased − 127) for 0 < biased < 255, and 0 for biased = 0."""
    return np.float32(np.array(np.int32(biased) << np.int32(23), np.int32).view(np.float32)[()])


def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray, accumulate: bool) -> None:
    """out [I, J] = a [I, K] · b [K, J], added to `out` if `accumulate`; float32, any of them a view or a transpose.

    Rows of `out`, and either rows or columns of `a` and of `b`, must be contiguous; a transpose costs nothing.
    """
    product = a @ b
    if accumulate:
        product += out
    out[...] = product


def nanoseconds() -> int:
    """Nanoseconds on a clock that never goes back."""
    return time.monotonic_ns()


def maximum(a: np.float32, b: np.float32) -> np.float32:
    """The larger one, NaN if one is NaN; a loop of it becomes vector code, which one of `max` does not."""
    return np.float32(np.maximum(a, b))


def prefetch(array: np.ndarray, row: int, column: int) -> None:
    """Ask for the cache line of array[row, column] without waiting for it; nothing else happens."""


@intrinsic  # type: ignore[untyped-decorator]
def _maximum(typing_context: Any, a: Any, b: Any) -> tuple[Any, Callable[..., Any]]:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        function_type = ir.FunctionType(ir.FloatType(), [ir.FloatType(), ir.FloatType()])
        return builder.call(
            cgutils.get_or_insert_function(builder.module, function_type, "llvm.maximum.f32"), arguments
        )

    return types.float32(types.float32, types.float32), generate


@overload(maximum)
def _compiled_maximum(a, b):  # noqa: ARG001
    return lambda a, b: _maximum(np.float32(a), np.float32(b))


@intrinsic  # type: ignore[untyped-decorator]
def _prefetch(typing_context: Any, array: Any, offset: Any) -> tuple[Any, Callable[..., Any]]:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.gep(builder.bitcast(data, pointer), [arguments[1]])
        function_type = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
        # For reading, into the second-level cache (a chunk's rows are larger than the first), of data.
        builder.call(function, [address, *(ir.Constant(number, value) for value in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@overload(prefetch)
def _compiled_prefetch(array, row, column):  # noqa: ARG001
    return lambda array, row, column: _prefetch(array, row * array.strides[0] + column * array.strides[1])


@intrinsic  # type: ignore[untyped-decorator]
def _nanoseconds(typing_context: Any) -> tuple[Any, Callable[..., Any]]:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        integer, long = ir.IntType(32), ir.IntType(64)
        moment = cgutils.alloca_once(builder, ir.LiteralStructType([long, long]))
        function_type = ir.FunctionType(integer, [integer, moment.type])
        function = cgutils.get_or_insert_function(builder.module, function_type, "clock_gettime")
        builder.call(function, [ir.Constant(integer, time.CLOCK_MONOTONIC), moment])
        seconds, rest = cgutils.unpack_tuple(builder, builder.load(moment), 2)
        return builder.add(builder.mul(seconds, ir.Constant(long, 10**9)), rest)

    return types.int64(), generate


@overload(nanoseconds)
def _compiled_nanoseconds():
    return lambda: np.int64(_nanoseconds())


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_two(typing_context: Any, biased: Any) -> tuple[Any, Callable[..., Any]]:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(builder.shl(arguments[0], ir.Constant(ir.IntType(32), 23)), ir.FloatType())

    return types.float32(types.int32), generate


@overload(power_of_two)
def _compiled_power_of_two(biased):  # noqa: ARG001
    return lambda biased: _power_of_two(np.int32(biased))


@intrinsic  # type: ignore[untyped-decorator]
def _sgemm(
    typing_context: Any,  # noqa: ARG001
    transpose_a: Any,
    transpose_b: Any,
    rows: Any,
    columns: Any,
    inner: Any,
    a: Any,
    a_stride: Any,
    b: Any,
    b_stride: Any,
    beta: Any,  # noqa: ARG001
    c: Any,
    c_stride: Any,
) -> tuple[Any, Callable[..., Any]]:
    """BLAS's sgemm in column-major order, called by a name, which the kernel cache can relocate."""
    signature = types.void(
        transpose_a, transpose_b, rows, columns, inner, a, a_stride, b, b_stride, types.float32, c, c_stride
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, number, pointer = ir.IntType(32), ir.FloatType(), ir.IntType(8).as_pointer()
        function_type = ir.FunctionType(
            ir.VoidType(),
            # order, transpositions; m, n, k; alpha, a, lda, b, ldb, beta, c, ldc
            [*[integer] * 3, *[integer] * 3, number, pointer, integer, pointer, integer, number, pointer, integer],
        )
        function = cgutils.get_or_insert_function(builder.module, function_type, SGEMM)

        def data(index: int) -> Any:
            array = context.make_array(signature.args[index])(context, builder, arguments[index])
            return builder.bitcast(array.data, pointer)

        def whole(index: int) -> Any:
            return builder.trunc(arguments[index], integer)

        def turned(index: int) -> Any:
            yes, no = ir.Constant(integer, TURNED), ir.Constant(integer, NOT_TURNED)
            return builder.select(cgutils.is_true(builder, arguments[index]), yes, no)

        shape = [whole(2), whole(3), whole(4)]
        matrices = [data(5), whole(6), data(7), whole(8), arguments[9], data(10), whole(11)]
        order, one = ir.Constant(integer, COLUMN_MAJOR), ir.Constant(number, 1.0)
        builder.call(function, [order, turned(0), turned(1), *shape, one, *matrices])
        return context.get_dummy_value()

    return signature, generate


@overload(matmul)
def _compiled_matmul(a, b, out, accumulate):  # noqa: ARG001
    def matmul_with_blas(a, b, out, accumulate):
        rows, columns, inner = out.shape[0], out.shape[1], a.shape[1]
        if inner == 0 and not accumulate:
            out[:] = np.float32(0)
        if rows == 0 or columns == 0 or inner == 0:
            return
        # Row-major C = A·B is column-major Cᵀ = Bᵀ·Aᵀ; a row-major matrix is the transpose of a column-major one.
        a_turned = a.strides[1] != 4 or (a.strides[0] == 4 and a.shape[1] > 1)
        b_turned = b.strides[1] != 4 or (b.strides[0] == 4 and b.shape[1] > 1)
        a_stride = (a.strides[1] if a_turned else a.strides[0]) // 4
        b_stride = (b.strides[1] if b_turned else b.strides[0]) // 4
        beta = np.float32(1.0) if accumulate else np.float32(0.0)
        _sgemm(b_turned, a_turned, columns, rows, inner, b, b_stride, a, a_stride, beta, out, out.strides[0] // 4)

    return matmul_with_blas
