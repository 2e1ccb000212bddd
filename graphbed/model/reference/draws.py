"""The negatives that the CPU kernel draws, drawn for a whole chunk at once."""

import numpy as np

from graphbed.model.kernel import EdgeSlice, Hyper, Table

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def draw_rows(seed: int, first_edge: int, first: int, draws: int, rows: int) -> np.ndarray:
    """int64 [draws]: numbers first, first + 1, … of the chunk that begins at edge `first_edge`, each below `rows`.

    SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) with the chunk's key as its seed.
    """
    chunk_seed = int(_scramble(np.array([(seed + _GOLDEN) & _MASK], np.uint64))[0])
    key = _scramble(np.array([(chunk_seed + first_edge) & _MASK], np.uint64))
    counters = np.arange(first + 1, first + draws + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return (_scramble(key + counters) % np.uint64(rows)).astype(np.int64)


def _scramble(numbers: np.ndarray) -> np.ndarray:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return mixed


def drawn_rows(
    edges: EdgeSlice, first_edge: int, lhs: Table, rhs: Table, hyper: Hyper, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """int64: the drawn negatives of both sides of the chunk that begins at `first_edge`."""
    drawn = []
    counter = 0
    for enabled, table, ends in (
        (hyper.lhs_negatives, lhs, edges.lhs_rows),
        (hyper.rhs_negatives, rhs, edges.rhs_rows),
    ):
        if hyper.all_negatives:
            drawn.append(np.arange(table.trainable_rows if enabled else 0, dtype=np.int64))
            continue
        counts = _counts(hyper, table) if enabled else (0, 0, 0)
        places = (len(ends), table.read_only_rows, table.trainable_rows)
        parts = []
        for count, rows in zip(counts, places, strict=True):
            parts.append(draw_rows(seed, first_edge, counter, count, max(rows, 1)))
            counter += count
        drawn.append(np.concatenate([ends[parts[0]], table.trainable_rows + parts[1], parts[2]]))
    return drawn[0], drawn[1]


def _counts(hyper: Hyper, table: Table) -> tuple[int, int, int]:
    """Negatives by degree, remote ones, uniform ones."""
    remote = hyper.remote_negatives if table.read_only_rows else 0
    return hyper.degree_negatives, remote, hyper.uniform_negatives - hyper.degree_negatives - remote
