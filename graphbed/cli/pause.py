"""`graphbed pause` and `graphbed resume`: hold a job of a running cluster, and let it run on."""

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, JobName, LockServer
from graphbed.cli.output import print_json


def pause(job: JobName, lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """Give out no more work of a job; what is being trained may still be committed."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        client.pause(job)
    if as_json:
        print_json({"job": job, "paused": True})
    else:
        typer.echo(f"job {job} paused")


def resume(job: JobName, lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """Let a paused job run on; what failed before is tried anew."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        client.resume(job)
    if as_json:
        print_json({"job": job, "paused": False})
    else:
        typer.echo(f"job {job} runs")
