"""The grid of buckets, made small enough for a terminal."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from graphbed.v1 import lockserver_pb2

EMPTY, WAITING, PART, DONE = "·", "░", "▒", "█"
"""No edges; nothing committed in this epoch; some of it; all of it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the picture: a bucket, or a block of neighbouring ones."""

    mark: str
    leased: bool
    """Whether a live lease holds a bucket of it."""


def draw(
    buckets: lockserver_pb2.BucketGrid, *, epoch: int, leased: Collection[tuple[int, int]], width: int, height: int
) -> list[list[Cell]]:
    """The picture of `epoch`, at most `width` by `height` cells; a small grid gets two columns for each bucket.

    `leased`: (lhs, rhs) of the buckets under live leases.
    """
    columns = buckets.columns
    if not columns:
        return []
    rows = len(buckets.epochs) // columns
    block = max(-(-rows // height), -(-columns // width), 1)
    repeat = 2 if 2 * columns <= width else 1
    return [
        [
            cell
            for left in range(0, columns, block)
            for cell in [_cell(buckets, epoch, leased, range(top, min(top + block, rows)), left, block)] * repeat
        ]
        for top in range(0, rows, block)
    ]


def _cell(
    buckets: lockserver_pb2.BucketGrid,
    epoch: int,
    leased: Collection[tuple[int, int]],
    rows: Sequence[int],
    left: int,
    block: int,
) -> Cell:
    places = [(row, column) for row in rows for column in range(left, min(left + block, buckets.columns))]
    # A cell of the message is 1 + epochs completed, 0 without edges: it has done `epoch`, counted from 0, above that.
    values = [buckets.epochs[row * buckets.columns + column] for row, column in places]
    due = [value for value in values if value]
    done = sum(value > epoch + 1 for value in due)
    if not due:
        mark = EMPTY
    elif done == len(due):
        mark = DONE
    else:
        mark = PART if done else WAITING
    return Cell(mark, any(place in leased for place in places))
