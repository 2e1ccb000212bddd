"""Checks of a kernel call's arguments, before compiled code trusts them."""

import numpy as np

from graphbed.config.job import Operator, Optimizer
from graphbed.model.kernel import Control, EdgeSlice, GroupParameters, Hyper, KernelSpec, SideParameters, Table

# Shapes: E edges, C chunks, V rows of a table, Rg relations of the group, D dimension.


def require_arguments(
    spec: KernelSpec,
    edges: EdgeSlice,
    lhs: Table,
    rhs: Table,
    parameters: GroupParameters,
    hyper: Hyper,
    control: Control,
    seed: int,
) -> None:
    """Raise ValueError if anything has another shape, dtype or range than a kernel expects."""
    dimension = lhs.embeddings.shape[-1]
    for name, table in (("lhs", lhs), ("rhs", rhs)):
        _require_table(name, table, spec.optimizer, dimension)
    _require_side("rhs", parameters.rhs, spec.operator is not Operator.NONE, dimension)
    _require_side("lhs", parameters.lhs, spec.operator is not Operator.NONE and spec.reciprocal, dimension)
    _require_edges(edges, len(lhs.embeddings), len(rhs.embeddings), len(parameters.rhs.values), hyper.chunk_edges, spec)
    if spec.reciprocal and len(parameters.lhs.values) != len(parameters.rhs.values):
        raise ValueError("parameters: the sides have different numbers of relations")
    if spec.operator is Operator.COMPLEX_DIAGONAL and dimension % 2:
        raise ValueError("complex_diagonal needs an even dimension")
    for name in ("stop", "progress", "loss", "failed"):
        dtype = {"progress": np.int64, "loss": np.float64}.get(name, np.uint8)
        _require_array(f"control.{name}", getattr(control, name), dtype, 1)
    if not 0 <= seed < 2**64:
        raise ValueError("seed: not a 64-bit number")


def _require_table(name: str, table: Table, optimizer: Optimizer, dimension: int) -> None:
    _require_array(f"{name}.embeddings", table.embeddings, np.float32, 2)
    _require_array(f"{name}.sums", table.sums, np.float32, 2)
    columns = 1 if optimizer is Optimizer.ROW_ADAGRAD else dimension
    if table.embeddings.shape[1] != dimension or table.sums.shape != (len(table.embeddings), columns):
        raise ValueError(f"{name}: embeddings {table.embeddings.shape} and sums {table.sums.shape} do not fit together")


def _require_side(name: str, side: SideParameters, has_parameters: bool, dimension: int) -> None:
    _require_array(f"parameters.{name}.values", side.values, np.float32, 2)
    _require_array(f"parameters.{name}.sums", side.sums, np.float32, 2)
    if side.values.shape != side.sums.shape or side.values.shape[1] != dimension:
        raise ValueError(
            f"parameters.{name}: values {side.values.shape} and sums {side.sums.shape} do not fit together"
        )
    if (len(side.values) > 0) != has_parameters:
        raise ValueError(f"parameters.{name}: {len(side.values)} rows, which the operator does not go with")


def _require_edges(
    edges: EdgeSlice, lhs_rows: int, rhs_rows: int, relations: int, chunk_edges: int, spec: KernelSpec
) -> None:
    columns = {
        "lhs_rows": (edges.lhs_rows, np.int64, lhs_rows),
        "rhs_rows": (edges.rhs_rows, np.int64, rhs_rows),
        "relation_rows": (edges.relation_rows, np.int32, relations),
        "weight": (edges.weight, np.float32, 0),
    }
    for name, (array, dtype, _) in columns.items():
        _require_array(name, array, dtype, 1)
        if len(array) != len(edges.lhs_rows):
            raise ValueError(f"{name}: {len(array)} of {len(edges.lhs_rows)} edges")
    _require_array("chunk_starts", edges.chunk_starts, np.int64, 1)
    if edges.edges == 0:
        return
    sizes = np.diff(edges.chunk_starts)
    first, last = int(edges.chunk_starts[0]), int(edges.chunk_starts[-1])
    if sizes.min() < 0 or sizes.max() > chunk_edges or first < 0 or last > len(edges.lhs_rows):
        raise ValueError(f"chunk_starts: chunks of {sizes.min()} to {sizes.max()} edges, at most {chunk_edges} allowed")
    for name, (array, _, rows) in columns.items():
        if name == "weight" or (name == "relation_rows" and spec.operator is Operator.NONE):
            continue
        part = array[first:last]
        if part.min() < 0 or part.max() >= rows:
            raise ValueError(f"{name}: outside 0 … {rows - 1}")


def _require_array(name: str, array: np.ndarray, dtype: type, dimensions: int) -> None:
    if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous or not array.flags.aligned:
        raise ValueError(f"{name}: not a contiguous {np.dtype(dtype)} array of {dimensions} dimension(s)")
    if not array.flags.writeable:
        raise ValueError(f"{name}: is read-only")
