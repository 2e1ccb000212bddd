"""Checks of a kernel call's arguments, before compiled code trusts them."""

import numpy as np

from graphbed.config.choices import Comparator, Operator, Optimizer
from graphbed.model.kernel import (
    Control,
    EdgeSlice,
    GroupParameters,
    Hyper,
    KernelSpec,
    KnownRows,
    SideParameters,
    Table,
)

# Shapes: E edges, C chunks, V rows of a table, Rg relations of the group, D dimension.

CONTROL_TYPES: dict[str, type] = {
    "stop": np.uint8,
    "progress": np.int64,
    "loss": np.float64,
    "failed": np.uint8,
    "phases": np.int64,
}


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
    width, has_operator = spec.operator.width(dimension), spec.operator is not Operator.NONE
    _require_side("rhs", parameters.rhs, has_operator, width)
    _require_side("lhs", parameters.lhs, has_operator and spec.reciprocal, width)
    if (parameters.lhs_global is None) != (parameters.rhs_global is None):
        raise ValueError("parameters: one side has a global embedding and the other has none")
    for name, shared in (("lhs_global", parameters.lhs_global), ("rhs_global", parameters.rhs_global)):
        if shared is not None:
            _require_side(name, shared, True, dimension)
    if parameters.lhs_global is not None and (parameters.lhs_global is parameters.rhs_global) != (lhs is rhs):
        raise ValueError("parameters: sides of one entity type share their global embedding, others do not")
    _require_numbers(hyper)
    _require_edges(edges, lhs.trainable_rows, rhs.trainable_rows, len(parameters.rhs.values), hyper.chunk_edges, spec)
    if spec.reciprocal and len(parameters.lhs.values) != len(parameters.rhs.values):
        raise ValueError("parameters: the sides have different numbers of relations")
    if spec.operator.is_complex and dimension % 2:
        raise ValueError(f"{spec.operator} needs an even dimension")
    if spec.comparator is Comparator.COMPLEX_L1 and (dimension - spec.bias) % 2:
        raise ValueError("complex_l1 compares an even number of numbers")
    if dimension <= spec.bias:
        raise ValueError("nothing is left to compare beside the bias")
    for name, known, rows in _known_rows(edges, lhs, rhs):
        _require_known(name, known, len(edges.lhs_rows), rows)
    for name, dtype in CONTROL_TYPES.items():
        _require_array(f"control.{name}", getattr(control, name), dtype, 1)
    if not 0 <= seed < 2**64:
        raise ValueError("seed: not a 64-bit number")


def _require_table(name: str, table: Table, optimizer: Optimizer, dimension: int) -> None:
    _require_array(f"{name}.embeddings", table.embeddings, np.float32, 2)
    _require_array(f"{name}.sums", table.sums, np.float32, 2)
    columns = optimizer.columns(dimension)
    if not 0 <= table.read_only_rows <= len(table.embeddings):
        raise ValueError(f"{name}: {table.read_only_rows} of {len(table.embeddings)} rows read-only")
    if table.embeddings.shape[1] != dimension or table.sums.shape != (len(table.embeddings), columns):
        raise ValueError(f"{name}: embeddings {table.embeddings.shape} and sums {table.sums.shape} do not fit together")


def _require_numbers(hyper: Hyper) -> None:
    if hyper.degree_negatives + hyper.remote_negatives > hyper.uniform_negatives:
        raise ValueError("hyper: more negatives by degree and remote ones than drawn ones")
    uniform = hyper.uniform_negatives - hyper.degree_negatives - hyper.remote_negatives
    if hyper.other_side_negatives and uniform < hyper.chunk_edges:
        raise ValueError(f"hyper: {uniform} uniform negatives for {hyper.chunk_edges} of the other side")


def _known_rows(edges: EdgeSlice, lhs: Table, rhs: Table) -> list[tuple[str, KnownRows, int]]:
    if edges.known is None:
        return []
    return [
        ("known.lhs", edges.known.lhs, len(lhs.embeddings)),
        ("known.rhs", edges.known.rhs, len(rhs.embeddings)),
    ]


def _require_known(name: str, known: KnownRows, edges: int, rows: int) -> None:
    for column in ("first", "stop", "rows"):
        _require_array(f"{name}.{column}", getattr(known, column), np.int64, 1)
    if len(known.first) != edges or len(known.stop) != edges:
        raise ValueError(f"{name}: lists of {len(known.first)} of {edges} edges")
    if edges and (known.first.min() < 0 or known.stop.max() > len(known.rows) or (known.first > known.stop).any()):
        raise ValueError(f"{name}: a list leads outside its rows")
    if len(known.rows) and (known.rows.min() < 0 or known.rows.max() >= rows):
        raise ValueError(f"{name}: outside 0 … {rows - 1}")


def _require_side(name: str, side: SideParameters, has_parameters: bool, width: int) -> None:
    _require_array(f"parameters.{name}.values", side.values, np.float32, 2)
    _require_array(f"parameters.{name}.sums", side.sums, np.float32, 2)
    if side.values.shape != side.sums.shape or side.values.shape[1] != width:
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
