"""Random numbers that are a function of a key and a counter (SplitMix64), the same on any machine.

Source of the constants: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
SHIFT_30 = np.uint64(30)
SHIFT_27 = np.uint64(27)
SHIFT_31 = np.uint64(31)


def scramble(x: np.uint64) -> np.uint64:
    """A bijection of 64-bit numbers without visible structure."""
    x = (x ^ (x >> SHIFT_30)) * MIX_1
    x = (x ^ (x >> SHIFT_27)) * MIX_2
    return x ^ (x >> SHIFT_31)


def chunk_key(seed: np.uint64, first_edge: int) -> np.uint64:
    """The key of the chunk that begins at `first_edge`."""
    return scramble(scramble(seed + GOLDEN) + np.uint64(first_edge))


def draw_rows(key: np.uint64, first: int, count: int, out: np.ndarray) -> None:
    """Fill `out` with rows from 0 up to but without `count`, drawn uniformly (bias below count/2^64).

    The draws are numbers first, first + 1, … of `key`.
    """
    for k in range(out.shape[0]):
        number = scramble(key + np.uint64(first + k + 1) * GOLDEN)
        out[k] = np.int64(number % np.uint64(count))
