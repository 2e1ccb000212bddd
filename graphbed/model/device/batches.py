"""Batches: chunks of a slice on the device, padded to the longest of them."""

# ruff: noqa: N815 - shape suffixes
# Shapes: E edges of the arrays of a slice, B chunks of a batch, N edges of the longest chunk, P candidates of a side
# (the chunk's own entities first), K known rows.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from graphbed.model.device.draws import Draws, drawn_rows
from graphbed.model.kernel import EdgeSlice, Hyper, KnownRows, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Which rows are no negatives of an edge because they make another known edge: pairs (list, row) as numbers."""

    pairs_K: Tensor
    """int64 [K], ascending: list number · rows of the table + row."""
    lists_E: Tensor
    """int64 [E]: the list of each edge; -1 = it is empty."""
    rows: int

    def contains(self, edges_BN: Tensor, rows_BP: Tensor) -> Tensor:
        """bool [B, N, P]."""
        lists_BN = self.lists_E[edges_BN]
        wanted_BNP = lists_BN[..., None] * self.rows + rows_BP[:, None, :]
        place_BNP = torch.searchsorted(self.pairs_K, wanted_BNP).clamp(max=len(self.pairs_K) - 1)
        return (self.pairs_K[place_BNP] == wanted_BNP) & (lists_BN[..., None] >= 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entities:
    """The candidates of one side."""

    rows_BP: Tensor
    """int64; where an edge is padding, row 0."""
    known: Known | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a step works on."""

    lhs: Entities
    rhs: Entities
    edges_BN: Tensor
    """int64: places of the edges in the arrays of the slice."""
    present_BN: Tensor
    """bool: False = padding."""
    relations_BN: Tensor
    """int64."""
    weight_BN: Tensor

    @property
    def chunks(self) -> int:
        return len(self.edges_BN)


def batches(
    edges: EdgeSlice,
    tables: tuple[Table, Table],
    hyper: Hyper,
    *,
    chunks: int,
    draws: Draws,
    seed: int,
    device: torch.device,
) -> Iterator[tuple[Batch, int]]:
    """The slice in batches of at most `chunks` chunks, and the number of edges of each; empty chunks are left out."""
    if not edges.edges:
        return
    lhs_E, rhs_E = _upload(edges.lhs_rows, device), _upload(edges.rhs_rows, device)
    relations_E, weight_E = _upload(edges.relation_rows, device).long(), _upload(edges.weight, device)
    lhs_known, rhs_known = (
        (None, None)
        if edges.known is None
        else (
            _known(edges.known.lhs, len(tables[0].embeddings), device),
            _known(edges.known.rhs, len(tables[1].embeddings), device),
        )
    )
    sizes = np.diff(edges.chunk_starts)
    firsts, sizes = edges.chunk_starts[:-1][sizes > 0], sizes[sizes > 0]
    for begin in range(0, len(firsts), chunks):
        first_B, size_B = firsts[begin : begin + chunks], sizes[begin : begin + chunks]
        edges_BN, present_BN = _places(first_B, size_B, device)
        starts: Sequence[int] = first_B.tolist()
        lhs_BN, rhs_BN = (torch.where(present_BN, ends_E[edges_BN], -1) for ends_E in (lhs_E, rhs_E))
        drawn = drawn_rows(draws(seed, starts, device), (lhs_BN, rhs_BN), (lhs_E, rhs_E), tables, hyper)
        lhs_BP, rhs_BP = (
            torch.cat([own_BN.clamp(min=0), drawn_BJ], 1)
            for own_BN, drawn_BJ in zip((lhs_BN, rhs_BN), drawn, strict=True)
        )
        yield (
            Batch(
                lhs=Entities(rows_BP=lhs_BP, known=lhs_known),
                rhs=Entities(rows_BP=rhs_BP, known=rhs_known),
                edges_BN=edges_BN,
                present_BN=present_BN,
                relations_BN=torch.where(present_BN, relations_E[edges_BN], relations_E[edges_BN[:, :1]]),
                weight_BN=torch.where(present_BN, weight_E[edges_BN], 0),
            ),
            int(size_B.sum()),
        )


def _places(first_B: np.ndarray, size_B: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Place of each edge in the arrays, the chunk's first where it is padding; and which are none."""
    within_N = np.arange(size_B.max())
    present_BN = within_N < size_B[:, None]
    places_BN = first_B[:, None] + np.where(present_BN, within_N, 0)
    return _upload(places_BN, device), _upload(present_BN, device)


def _known(known: KnownRows, rows: int, device: torch.device) -> Known | None:
    """None if nothing is known. A list is named by the place where it begins, which only empty ones share."""
    filled_E = known.first < known.stop
    if not filled_E.any():
        return None
    lists, where = np.unique(known.first[filled_E], return_index=True)
    stops = known.stop[filled_E][where]
    sizes = stops - lists
    places = np.repeat(lists - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) + np.arange(sizes.sum())
    pairs_K = np.sort(np.repeat(lists, sizes) * rows + known.rows[places])
    return Known(
        pairs_K=_upload(pairs_K, device),
        lists_E=_upload(np.where(filled_E, known.first, -1), device),
        rows=rows,
    )


def _upload(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
