"""The negatives of a batch: one structure, drawn by the device itself or exactly as the CPU kernel draws."""

# Shapes: B chunks, N edges of the longest chunk, J drawn candidates of a side, E edges of the arrays of a slice.

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from graphbed.model.kernel import Hyper, Table

Draw = Callable[[int, int, int], Tensor]
"""(first, draws, rows) → int64 [B, draws]: draws number first, first + 1, … of each chunk, each below `rows`."""
Draws = Callable[[int, Sequence[int], torch.device], Draw]
"""(seed, first edge of each chunk, device) → how to draw for these chunks."""

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def drawn_rows(
    draw: Draw, own: tuple[Tensor, Tensor], ends: tuple[Tensor, Tensor], tables: tuple[Table, Table], hyper: Hyper
) -> tuple[Tensor, Tensor]:
    """int64 [B, J] of the lhs and of the rhs.

    `own` are the rows [B, N] of the chunks' edges, -1 = padding; `ends` those [E] of all edges of the arrays of the
    slice.
    """
    chunks = len(own[0])
    crossed = hyper.other_side_negatives and tables[0] is tables[1]
    drawn = []
    counter = 0
    enabled_sides = (hyper.lhs_negatives, hyper.rhs_negatives)
    for enabled, other_BN, ends_E, table in zip(enabled_sides, reversed(own), ends, tables, strict=True):
        if hyper.all_negatives:
            everything = torch.arange(table.trainable_rows if enabled else 0, device=ends_E.device)
            drawn.append(everything.expand(chunks, -1))
            continue
        by_degree, remote, uniform = _counts(hyper, table) if enabled else (0, 0, 0)
        ends_BJ = draw(counter, by_degree, len(ends_E))
        remote_BJ = draw(counter + by_degree, remote, max(table.read_only_rows, 1))
        uniform_BJ = draw(counter + by_degree + remote, uniform, max(table.trainable_rows, 1))
        if crossed and enabled:
            edges = other_BN.shape[1]
            uniform_BJ[:, :edges] = torch.where(other_BN >= 0, other_BN, uniform_BJ[:, :edges])
        counter += by_degree + remote + uniform
        drawn.append(torch.cat([ends_E[ends_BJ], table.trainable_rows + remote_BJ, uniform_BJ], dim=1))
    return drawn[0], drawn[1]


def device_draws(seed: int, first_edges: Sequence[int], device: torch.device) -> Draw:
    """Drawn on the device: a function of the seed and of the batch's first edge."""
    generator = torch.Generator(device).manual_seed(_number(seed, first_edges[0]) >> 1)

    def draw(_first: int, draws: int, rows: int) -> Tensor:
        return torch.randint(rows, (len(first_edges), draws), generator=generator, device=device)

    return draw


def cpu_kernel_draws(seed: int, first_edges: Sequence[int], device: torch.device) -> Draw:
    """What the CPU kernel draws. SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) with the chunk's key as its seed."""
    keys_B = np.array([_number(seed, first_edge) for first_edge in first_edges], np.uint64)

    def draw(first: int, draws: int, rows: int) -> Tensor:
        counters = np.arange(first + 1, first + draws + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        drawn = (_scramble(keys_B[:, None] + counters) % np.uint64(rows)).astype(np.int64)
        return torch.from_numpy(drawn).to(device)

    return draw


def _counts(hyper: Hyper, table: Table) -> tuple[int, int, int]:
    """Negatives by degree, remote ones, uniform ones."""
    remote = hyper.remote_negatives if table.read_only_rows else 0
    return hyper.degree_negatives, remote, hyper.uniform_negatives - hyper.degree_negatives - remote


def _number(seed: int, first_edge: int) -> int:
    """64 bits: the key of the chunk that begins at edge `first_edge`."""
    scrambled = int(_scramble(np.array([(seed + _GOLDEN) & _MASK], np.uint64))[0])
    return int(_scramble(np.array([(scrambled + first_edge) & _MASK], np.uint64))[0])


def _scramble(numbers: np.ndarray) -> np.ndarray:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return mixed
