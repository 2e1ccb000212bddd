"""Initial vectors: from a Parquet file of names and vectors to the offsets of a graph's entities."""

# Shapes: N named entities of a partition, D dimension.

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from graphbed.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialVectors:
    """The initial vectors of one partition's entities, as far as the file names them."""

    offsets: NDArray[np.int64]
    """[N], rising."""
    vectors: NDArray[np.float32]
    """[N, D]"""


def read_vectors(path: Path, partitions: Sequence[Sequence[str]], *, dimension: int) -> tuple[InitialVectors, ...]:
    """The vectors that the file has for the entities of each of `partitions`, whose names are given by offset.

    Names that are no entities are passed over. Raises InputError for a file that is not such a table, has a name twice,
    another dimension, or a number that is not finite.
    """
    names, vectors = _read(path, dimension)
    found = []
    for members in partitions:
        places = pc.index_in(pa.array(members, type=pa.string()), value_set=names)
        offsets = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False)).astype(np.int64)
        rows = places.drop_null().to_numpy()
        found.append(InitialVectors(offsets=offsets, vectors=np.ascontiguousarray(vectors[rows])))
    return tuple(found)


def _read(path: Path, dimension: int) -> tuple[pa.Array, NDArray[np.float32]]:
    try:
        table = pq.read_table(path, columns=["name", "embedding"]).combine_chunks()
        names = table["name"].cast(pa.string()).combine_chunks()
        lists = table["embedding"].cast(pa.list_(pa.float32())).combine_chunks()
    except OSError as error:
        raise InputError(what=f"{path} cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(what=f"{path} is not a Parquet file with name and embedding: {reason}") from error
    if names.null_count or lists.null_count:
        raise InputError(what=f"{path} has rows without a name or without an embedding")
    if len(pc.unique(names)) != len(names):
        raise InputError(what=f"{path} names an entity twice")
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if lengths not in ([], [dimension]):
        raise InputError(what=f"{path} has vectors of {lengths[0]} numbers, and dimension is {dimension}")
    vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    if not np.isfinite(vectors).all():
        raise InputError(what=f"{path} has numbers that are not finite")
    return names, vectors
