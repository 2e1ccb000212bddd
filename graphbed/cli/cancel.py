"""`graphbed cancel`: end a job of a running cluster."""

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, JobName, LockServer
from graphbed.cli.output import print_json


def cancel(job: JobName, lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """End a job for good; what was committed stays in its checkpoints."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        client.cancel(job)
    if as_json:
        print_json({"job": job, "cancelled": True})
    else:
        typer.echo(f"job {job} cancelled")
