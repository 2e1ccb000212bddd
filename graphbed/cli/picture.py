"""A picture of a training run: loss and validation MRR by epoch."""

from collections.abc import Sequence
from pathlib import Path

from graphbed.whole_file import whole_file

Points = Sequence[tuple[int, float]]
"""(epoch, value)"""


def draw_run(loss: Points, mrr: Points, *, title: str, path: Path) -> None:
    """Write a PNG with two lines over epochs: training loss per edge, and MRR on the validation split."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, left = pyplot.subplots(figsize=(7, 4), dpi=150)
    right = left.twinx()
    lines = left.plot(*zip(*loss, strict=True), color="tab:orange", label="training loss per edge")
    lines += right.plot(*zip(*mrr, strict=True), color="tab:blue", marker="o", label="validation MRR (filtered)")
    left.set_xlabel("epoch")
    left.set_ylabel("loss")
    right.set_ylabel("MRR")
    right.set_ylim(bottom=0)
    left.legend(lines, [str(line.get_label()) for line in lines], loc="center right")
    left.set_title(title)
    figure.tight_layout()
    with whole_file(path) as unfinished:
        figure.savefig(unfinished)
    pyplot.close(figure)
