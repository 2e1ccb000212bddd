"""How far a training is: a bar on a terminal, a line now and then anywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from graphbed.clock import Clock
from graphbed.v1 import lockserver_pb2

Watch = Callable[[lockserver_pb2.GetJobResponse], None]

LINE_SECONDS = 30.0
"""A log file gets a line this often, and one at each epoch's end."""


@contextmanager
def training_progress(console: Console, clock: Clock) -> Iterator[Watch]:
    """Yields what to tell each answer of the lock server about the job."""
    if not console.is_terminal:
        yield Lines(console, clock).watch
        return
    with Progress(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _EdgesPerSecond(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("train", total=None, epoch=1, epochs="?", loss="-")

        def watch(reply: lockserver_pb2.GetJobResponse) -> None:
            progress.update(
                task,
                total=reply.summary.edges_total,
                completed=reply.summary.edges_done,
                epoch=_epoch(reply),
                epochs=reply.summary.num_epochs,
                loss=_loss(reply),
            )

        yield watch


class Lines:
    """Progress as lines of text."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._told: tuple[float, int, int] | None = None
        """When the last line was printed, the epoch and the edges it told."""

    def watch(self, reply: lockserver_pb2.GetJobResponse) -> None:
        """Print a line if it is time for one."""
        now, epoch, edges = self._clock.monotonic(), reply.summary.epoch, reply.summary.edges_done
        if self._told is None:
            self._told = now, epoch, edges
            return
        since, told_epoch, told_edges = self._told
        if epoch == told_epoch and now - since < LINE_SECONDS:
            return
        speed = (edges - told_edges) / max(now - since, 1e-9)
        share = edges / max(reply.summary.edges_total, 1)
        self._console.print(
            f"epoch {_epoch(reply)}/{reply.summary.num_epochs}  {share:4.0%}  {speed:,.0f} edges/s  loss {_loss(reply)}"
        )
        self._told = now, epoch, edges


class _EdgesPerSecond(ProgressColumn):
    """Edges per second over the last half minute or so, as rich measures it."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} edges/s" if speed else "starting", style="progress.data.speed")


def _epoch(reply: lockserver_pb2.GetJobResponse) -> int:
    return min(reply.summary.epoch + 1, reply.summary.num_epochs)


def _loss(reply: lockserver_pb2.GetJobResponse) -> str:
    """Loss per edge of the newest epoch that has any committed edges."""
    newest = reply.epochs[-1] if reply.epochs else None
    return f"{newest.loss / newest.edges:.4f}" if newest is not None and newest.edges else "-"
