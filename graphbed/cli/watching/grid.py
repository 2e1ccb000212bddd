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
    cells, columns = list(buckets.epochs), buckets.columns
    if not cells:
        return []
    rows = len(cells) // columns
    block = max(-(-rows // height), -(-columns // width), 1)
    repeat = 2 if 2 * columns <= width else 1
    picture = []
    for top in range(0, rows, block):
        inside = range(top, min(top + block, rows))
        line = []
        for left in range(0, columns, block):
            right = min(left + block, columns)
            values = [value for row in inside for value in cells[row * columns + left : row * columns + right] if value]
            held = any((row, column) in leased for row in inside for column in range(left, right))
            line += [Cell(_mark(values, epoch), held)] * repeat
        picture.append(line)
    return picture


def _mark(values: Sequence[int], epoch: int) -> str:
    """For buckets with edges, each as 1 + epochs completed: one that is above `epoch` + 1 has done `epoch`, from 0."""
    done = sum(value > epoch + 1 for value in values)
    if not values:
        return EMPTY
    if done == len(values):
        return DONE
    return PART if done else WAITING
