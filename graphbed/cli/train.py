"""`graphbed train`: one job on this machine, to its end; run again, it resumes."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from graphbed.cli.output import print_json
from graphbed.cli.training_progress import training_progress
from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.config.load import load_job
from graphbed.storage.manifest import Manifest

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
        print_json(result)
        return
    for epoch in training.manifest.epochs:
        typer.echo(
            f"epoch {epoch.epoch + 1:>3}   {epoch.edges:>12,} edges   loss per edge {epoch.loss / epoch.edges:.4f}"
        )
    if training.edges == 0:
        typer.echo(f"{config.job} was completed before: checkpoint {training.manifest.sequence} in {config.store}")
        return
    typer.echo(
        f"{training.manifest.status} in {training.seconds:.1f} s"
        f"{' (resumed)' if training.resumed else ''}, checkpoint {training.manifest.sequence} in {config.store}"
    )


def train_with_progress(config: JobConfig, *, trainers: int, console: Console) -> "Training":
    """Train, telling the progress on `console`; raises what services.standalone.run.train raises."""
    from graphbed.model.warm import warm_up
    from services.standalone.run import train as run_training

    # systemd and containers say SIGTERM where a terminal says Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    with console.status("preparing the kernels; the first time on a machine, this takes half a minute each"):
        warm_up(config)
    with training_progress(console, SystemClock()) as watch:
        return run_training(config, trainers=trainers, environ=dict(os.environ), watch=watch)


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
