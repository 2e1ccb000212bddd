"""The grid of buckets as a picture."""

from graphbed.cli.watching.grid import DONE, EMPTY, PART, WAITING, draw
from tests.unit.cli.watching.replies import reply


def marks(answer, *, epoch=0, leased=(), width=32, height=16):
    """The picture as lines of text."""
    picture = draw(answer.buckets, epoch=epoch, leased=set(leased), width=width, height=height)
    return ["".join(cell.mark for cell in row) for row in picture]


def test_a_small_grid_has_two_columns_for_each_bucket():
    answer = reply(partitions=3, done={(0, 0): 1, (2, 1): 1}, absent=[(1, 2)])
    assert marks(answer) == [
        DONE * 2 + WAITING * 4,
        WAITING * 4 + EMPTY * 2,
        WAITING * 2 + DONE * 2 + WAITING * 2,
    ]


def test_what_is_done_is_of_the_asked_epoch():
    answer = reply(partitions=1, done={(0, 0): 2})
    assert [marks(answer, epoch=epoch) for epoch in (0, 1, 2)] == [[DONE * 2], [DONE * 2], [WAITING * 2]]


def test_a_large_grid_shows_blocks_of_buckets():
    done = {(row, column): 1 for row in range(256) for column in range(8)} | {(0, 16): 1}
    lines = marks(reply(partitions=256, done=done), width=32, height=16)
    assert len(lines) == 16
    assert {len(line) for line in lines} == {16}
    assert lines[0].startswith(PART + PART + WAITING)
    assert lines[1].startswith(PART + WAITING)
    all_done = {(row, column): 1 for row in range(16) for column in range(16)}
    assert marks(reply(partitions=256, done=all_done), width=32, height=16)[0].startswith(DONE + WAITING)


def test_a_leased_bucket_is_marked_in_its_block_alone():
    answer = reply(partitions=4)
    picture = draw(answer.buckets, epoch=0, leased={(2, 3)}, width=32, height=16)
    assert [[cell.leased for cell in row[::2]] for row in picture] == [
        [False] * 4,
        [False] * 4,
        [False, False, False, True],
        [False] * 4,
    ]


def test_a_job_without_buckets_has_no_picture():
    assert draw(reply(partitions=0).buckets, epoch=0, leased=set(), width=32, height=16) == []
