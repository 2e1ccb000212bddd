"""`graphbed watch`: a running job in a terminal, over ssh too."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, LockServer
from graphbed.cli.status import describe
from graphbed.cli.watching.follow import ENDED, follow
from graphbed.cli.watching.screen import View, screen
from graphbed.errors import InputError
from graphbed.v1 import lockserver_pb2

WITHOUT_TERMINAL = (80, 24)
"""Width and height where nobody looks."""


def watch(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Name of the job; the only one that has not ended.", show_default=False),
    ] = None,
    lockserver: LockServer = DEFAULT_LOCKSERVER,
    seconds: Annotated[float, typer.Option(min=0.2, help="Time between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow a job of the cluster until it ends: its buckets, its trainers, its pace, and what happens.

    With --json, one object a line and look. Survives restarts of the lock server.
    """
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        views = follow(
            partial(client.get_job, job or the_running_job(client.list_jobs()), with_buckets=True),
            time_of_day=lambda: time.strftime("%H:%M:%S"),
            pause=partial(time.sleep, seconds),
        )
        with _printing(as_json=as_json, live=not once) as show:
            for view in views:
                show(view)
                if once:
                    break


def the_running_job(jobs: Iterable[lockserver_pb2.JobSummary]) -> str:
    """The job that is meant if none is named. Raises InputError unless one has not ended."""
    running = [job.job for job in jobs if job.status not in ENDED]
    if len(running) != 1:
        found = f"these run: {', '.join(running)}" if running else "none runs"
        raise InputError(what=f"name the job to watch; {found}")
    return running[0]


def as_document(view: View) -> dict[str, Any]:
    """A view as JSON: what `graphbed status JOB --json` tells, the grid, and what happened."""
    buckets = view.reply.buckets
    return {
        **describe(view.reply),
        "buckets": {"columns": buckets.columns, "epochs": [value - 1 for value in buckets.epochs]},
        "events": [{"at": at, "event": event} for at, event in view.events],
        "waiting": view.waiting or None,
    }


@contextmanager
def _printing(*, as_json: bool, live: bool) -> Iterator[Any]:
    """Yields what to give each view to."""
    console = Console()
    if as_json:
        yield lambda view: typer.echo(json.dumps(as_document(view), ensure_ascii=False))
    elif live and console.is_terminal:
        with Live(console=console, auto_refresh=False, screen=True) as display:
            last: list[View] = []

            def draw(view: View) -> None:
                last[:] = [view]
                display.update(_picture(view, console), refresh=True)

            yield draw
        # What was seen last stays in the terminal.
        console.print(_picture(last[0], console))
    else:
        yield lambda view: console.print(_picture(view, console))


def _picture(view: View, console: Console) -> Group:
    width, height = console.size if console.is_terminal else WITHOUT_TERMINAL
    return Group(*screen(view, width=width, height=height))
