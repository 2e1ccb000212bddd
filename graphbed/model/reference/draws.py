"""The uniform negatives that the CPU kernel draws, drawn for a whole chunk at once."""

import numpy as np

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
