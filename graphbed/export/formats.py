"""The three formats of an export: NumPy arrays, Parquet tables, tab-separated text."""

# Shapes: N entities of a type, V of a partition, D dimension, R relations, K numbers of an operator.

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from graphbed.export.model import Exported, ExportedRelation

_RELATION_COLUMNS = ("name", "lhs", "rhs", "operator", "reciprocal")


def write_npy(exported: Exported, folder: Path) -> None:
    """entities/<type>.npy float32 [N, D] with <type>.txt, one name a line; relations.tsv; parameters/<side>.npy [R, K].

    K is that of the widest operator; a row ends in NaN where the relation has fewer parameters, or none.
    """
    (folder / "parameters").mkdir()
    dimension = exported.checkpoint.config.dimension
    for kind in exported.checkpoint.schema.entities:
        table = np.lib.format.open_memmap(
            folder / "entities" / f"{kind}.npy", mode="w+", dtype=np.float32, shape=(exported.count(kind), dimension)
        )
        with (folder / "entities" / f"{kind}.txt").open("w", encoding="utf-8", newline="\n") as lines:
            start = 0
            for names, rows in exported.parts(kind):
                table[start : start + len(rows)] = rows
                start += len(rows)
                lines.writelines(f"{name}\n" for name in names)
        table.flush()
    relations = exported.relations()
    _write_relations(relations, folder)
    for side in ("rhs", "lhs"):
        found = [_parameters(relation)[side] for relation in relations]
        width = max((len(values) for values in found if values is not None), default=0)
        parameters = np.full((len(relations), width), np.nan, dtype=np.float32)
        for number, values in enumerate(found):
            if values is not None:
                parameters[number, : len(values)] = values
        np.save(folder / "parameters" / f"{side}.npy", parameters)


def write_parquet(exported: Exported, folder: Path) -> None:
    """entities/<type>.parquet (name, embedding), one row group a partition; relations.parquet with the parameters."""
    vector = pa.list_(pa.float32(), exported.checkpoint.config.dimension)
    schema = pa.schema([("name", pa.string()), ("embedding", vector)])
    for kind in exported.checkpoint.schema.entities:
        with pq.ParquetWriter(folder / "entities" / f"{kind}.parquet", schema, compression="zstd") as writer:
            for names, rows in exported.parts(kind):
                values = pa.array(np.ascontiguousarray(rows).reshape(-1))
                vectors = pa.FixedSizeListArray.from_arrays(values, rows.shape[1])
                writer.write_table(pa.Table.from_arrays([pa.array(names, type=pa.string()), vectors], schema=schema))
    relations = exported.relations()
    columns = {name: [getattr(relation, name) for relation in relations] for name in _RELATION_COLUMNS}
    columns["operator"] = [str(operator) for operator in columns["operator"]]
    for side in ("rhs", "lhs"):
        values = [_parameters(relation)[side] for relation in relations]
        columns[f"{side}_parameters"] = pa.array(values, type=pa.list_(pa.float32()))
    pq.write_table(pa.table(columns), folder / "relations.parquet", compression="zstd")


def write_tsv(exported: Exported, folder: Path) -> None:
    """entities/<type>.tsv (name, D numbers); relations.tsv; parameters.tsv (relation, side, D numbers). 9 digits."""
    for kind in exported.checkpoint.schema.entities:
        with (folder / "entities" / f"{kind}.tsv").open("w", encoding="utf-8", newline="\n") as lines:
            for names, rows in exported.parts(kind):
                lines.writelines(f"{name}\t{_numbers(row)}\n" for name, row in zip(names, rows, strict=True))
    relations = exported.relations()
    _write_relations(relations, folder)
    with (folder / "parameters.tsv").open("w", encoding="utf-8", newline="\n") as lines:
        for relation in relations:
            for side, values in _parameters(relation).items():
                if values is not None:
                    lines.write(f"{relation.name}\t{side}\t{_numbers(values)}\n")


FORMATS: Mapping[str, Callable[[Exported, Path], None]] = {
    "npy": write_npy,
    "parquet": write_parquet,
    "tsv": write_tsv,
}
"""Format → what writes it into a folder that has an empty folder `entities`."""


def _write_relations(relations: list[ExportedRelation], folder: Path) -> None:
    with (folder / "relations.tsv").open("w", encoding="utf-8", newline="\n") as lines:
        lines.write("\t".join(_RELATION_COLUMNS) + "\n")
        for relation in relations:
            lines.write("\t".join(str(getattr(relation, name)) for name in _RELATION_COLUMNS) + "\n")


def _parameters(relation: ExportedRelation) -> dict[str, NDArray[np.float32] | None]:
    return {"rhs": relation.rhs_parameters, "lhs": relation.lhs_parameters}


def _numbers(row: NDArray[np.float32]) -> str:
    # 9 significant digits bring every float32 back exactly.
    return "\t".join(f"{value:.9g}" for value in row.tolist())
