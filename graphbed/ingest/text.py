"""Reading edges from tab-separated text, with errors that name the file and the line."""

# Shapes: E lines that hold an edge.

import gzip
import lzma
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from graphbed.errors import InputError

_BLOCK_BYTES = 1 << 23
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEdges:
    """The columns of one file, names still as text."""

    lhs: Any
    """pyarrow ChunkedArray of strings [E]."""
    relation: Any | None
    """pyarrow ChunkedArray of strings [E], or None without such a column."""
    rhs: Any
    """pyarrow ChunkedArray of strings [E]."""
    weight: NDArray[np.float32] | None
    """[E] finite and ≥ 0, or None without such a column."""

    def __len__(self) -> int:
        return len(self.lhs)


def read_text(path: Path, columns: Sequence[str], *, relations: Collection[str] | None) -> RawEdges:
    """The edges in a plain, .gz or .xz file of UTF-8 text; empty lines are skipped, nothing is quoted.

    `relations` are the names that may occur, None if any may. Raises InputError: the file is missing, unreadable or has
    no edges; a line has too few or too many columns, an empty name, an unknown relation, or a bad weight.
    """
    try:
        table = _parse(path, columns)
        edges = _checked(table, columns, relations)
    except pa.ArrowInvalid as error:
        raise _explain(path, columns, relations, " ".join(str(error).split())) from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if not len(edges):
        raise InputError(what=f"{path} has no edges.")
    return edges


def _open(path: Path) -> BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    return path.open("rb")


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(what=f"{path} does not exist.")
    return InputError(what=f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")


def _parse(path: Path, columns: Sequence[str]) -> Any:
    wanted = [name for name in columns if name != "-"]
    unique = [name if name != "-" else f"-{place}" for place, name in enumerate(columns)]
    with _open(path) as file:
        return pacsv.read_csv(
            file,
            read_options=pacsv.ReadOptions(column_names=unique, block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False, double_quote=False, escape_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
            ),
        )


def _checked(table: Any, columns: Sequence[str], relations: Collection[str] | None) -> RawEdges:
    """The columns, every value valid; raises ArrowInvalid otherwise, and `_explain` finds the line."""
    for name in ("lhs", "relation", "rhs"):
        if name in columns and pc.any(pc.equal(table[name], "")).as_py():
            raise pa.ArrowInvalid(f"empty {name}")
    relation = table["relation"] if "relation" in columns else None
    if relation is not None and relations is not None:
        found = set(pc.unique(relation).to_pylist())
        if not found <= set(relations):
            raise pa.ArrowInvalid("unknown relation")
    weight = None
    if "weight" in columns:
        with np.errstate(over="ignore"):
            weight = pc.cast(table["weight"], pa.float64()).to_numpy().astype(np.float32)
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise pa.ArrowInvalid("bad weight")
    return RawEdges(lhs=table["lhs"], relation=relation, rhs=table["rhs"], weight=weight)


def _explain(path: Path, columns: Sequence[str], relations: Collection[str] | None, otherwise: str) -> InputError:
    """Why `path` was refused: its first bad line, found line by line, which the fast reading cannot name."""
    rows = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(_BOM) if number == 1 else line
                text = text.rstrip(b"\n").removesuffix(b"\r")
                if not text:
                    continue
                rows += 1
                if fault := _fault(text, columns, relations):
                    return InputError(what=f"{path}:{number}: {fault}")
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        return _unreadable(path, error)
    return InputError(what=f"{path} cannot be read: {otherwise}" if rows else f"{path} has no edges.")


def _fault(line: bytes, columns: Sequence[str], relations: Collection[str] | None) -> str | None:
    """What is wrong with one line, or None."""
    try:
        fields = line.decode("utf-8").split("\t")
    except UnicodeDecodeError:
        return "the line is not UTF-8 text"
    if len(fields) != len(columns):
        return f"{len(fields)} columns, but `columns` names {len(columns)}: {', '.join(columns)}"
    if b"\r" in line:
        return "a carriage return inside the line"
    for name, field in zip(columns, fields, strict=True):
        if name == "weight":
            if (problem := _weight_fault(field)) is not None:
                return f"the weight {field!r} {problem}"
        elif name != "-" and not field:
            return f"the {name} is empty"
        elif name == "relation" and relations is not None and field not in relations:
            return f'the relation {field!r} is not in the configuration; add it to `relations`, or an entry named "*"'
    return None


def _weight_fault(field: str) -> str | None:
    try:
        # The same parser as for the whole column, so that both agree on what a number is.
        value = pa.scalar(field).cast(pa.float64()).as_py()
    except pa.ArrowInvalid:
        return "is not a number"
    with np.errstate(over="ignore"):
        single = np.float32(value)
    if np.isnan(single):
        return "is not a number"
    if np.isinf(single):
        return "is too large for 32 bits"
    return "is negative" if single < 0 else None
