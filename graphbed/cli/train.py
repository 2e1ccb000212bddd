"""`graphbed train`: one job on this machine, to its end; run again, it resumes."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from graphbed.config.job import JobConfig
from graphbed.config.load import load_job
from graphbed.storage.manifest import Manifest
from graphbed.v1 import lockserver_pb2

if TYPE_CHECKING:
    from services.standalone.run import Training


def train(
    job: Annotated[Path, typer.Argument(help="The job's YAML file.")],
    trainers: Annotated[int, typer.Option(min=1, max=128, help="Trainer processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a job on this machine. Ctrl-C keeps what was committed; the same command goes on from there."""
    config = load_job(job)
    console = Console(stderr=True)
    training = train_with_progress(config, trainers=trainers, console=console)
    result = summary(training.manifest, seconds=training.seconds, resumed=training.resumed)
    if as_json:
        typer.echo(json.dumps(result))
        return
    for epoch in training.manifest.epochs:
        typer.echo(
            f"epoch {epoch.epoch + 1:>3}   {epoch.edges:>12,} edges   loss per edge {epoch.loss / epoch.edges:.4f}"
        )
    typer.echo(
        f"{training.manifest.status} in {training.seconds:.1f} s"
        f"{' (resumed)' if training.resumed else ''}, checkpoint {training.manifest.sequence} in {config.store}"
    )


def train_with_progress(config: JobConfig, *, trainers: int, console: Console) -> "Training":
    """Train with a progress bar on `console`; raises what services.standalone.run.train raises."""
    from graphbed.model.warm import warm_up
    from services.standalone.run import train as run_training

    # systemd and containers say SIGTERM where a terminal says Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    with console.status("preparing the kernels; the first time on a machine, this takes half a minute each"):
        warm_up(config)
    with Progress(
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _EdgesPerSecond(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        return run_training(config, trainers=trainers, environ=dict(os.environ), watch=_watcher(progress))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def summary(manifest: Manifest, *, seconds: float, resumed: bool) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "job": manifest.job,
        "status": manifest.status,
        "checkpoint": manifest.sequence,
        "seconds": round(seconds, 3),
        "resumed": resumed,
        "epochs": [
            {"epoch": e.epoch + 1, "edges": e.edges, "loss_per_edge": e.loss / max(e.edges, 1), "leases": e.leases}
            for e in manifest.epochs
        ],
    }


class _EdgesPerSecond(ProgressColumn):
    """Edges per second over the last half minute or so, as rich measures it."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} edges/s" if speed else "starting", style="progress.data.speed")


def _watcher(progress: Progress) -> Callable[[lockserver_pb2.GetJobResponse], None]:
    task = progress.add_task("train", total=None, epoch=1, epochs="?", loss="-")

    def watch(reply: lockserver_pb2.GetJobResponse) -> None:
        epochs = reply.epochs
        loss = f"{epochs[-1].loss / max(epochs[-1].edges, 1):.4f}" if epochs else "-"
        progress.update(
            task,
            total=reply.summary.edges_total,
            completed=reply.summary.edges_done,
            epoch=min(reply.summary.epoch + 1, reply.summary.num_epochs),
            epochs=reply.summary.num_epochs,
            loss=loss,
        )

    return watch
