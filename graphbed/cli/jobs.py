"""`graphbed jobs list|delete`: the jobs there are, and getting rid of one with all its bytes."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, LockServer
from graphbed.cli.job_choice import AnyJob, AnyLockServer, in_cluster
from graphbed.cli.output import print_json
from graphbed.cli.status import render_jobs, summary
from graphbed.config.load import load_job
from graphbed.errors import InputError

jobs = typer.Typer(help="See the jobs of a cluster, or delete one.", no_args_is_help=True)


@jobs.command("list")
def list_jobs(lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """All jobs of the cluster: what they do, how far they are, and whose turn comes first."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        found = [summary(entry) for entry in client.list_jobs()]
    if as_json:
        print_json({"jobs": found})
    else:
        typer.echo(render_jobs(found) if found else "no jobs")


@jobs.command()
def delete(
    job: AnyJob,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    lockserver: AnyLockServer = None,
    as_json: AsJson = False,
) -> None:
    """Delete a job that is completed or cancelled, with its checkpoints and all bytes. Its graph stays."""
    if there := in_cluster(job, lockserver):
        name, address = there
    else:
        config = load_job(Path(job))
        name = config.job
    if not yes:
        _ask(name)
    if there:
        from graphbed.clients.lockserver import LockServerClient
        from graphbed.clients.parts import delete_in_parts

        with LockServerClient(address) as client:
            replies = delete_in_parts(lambda: client.delete(name))
        objects, size = sum(reply.objects for reply in replies), sum(reply.bytes for reply in replies)
    else:
        from services.standalone.upkeep import delete as delete_here

        deleted = delete_here(config, environ=os.environ)
        objects, size = sum(part.objects for part in deleted), sum(part.bytes for part in deleted)
    if as_json:
        print_json({"job": name, "deleted": True, "objects": objects, "bytes": size})
    else:
        typer.echo(f"job {name} deleted: {objects:,} objects, {size:,} bytes")


def _ask(job: str) -> None:
    """Have a person confirm it. Raises InputError where nobody can be asked, or the answer is no."""
    if not sys.stdin.isatty():
        raise InputError(what=f"deleting the job {job} needs --yes where nobody can be asked")
    if not typer.confirm(f"delete the job {job}, its checkpoints and all its bytes?", err=True):
        raise InputError(what=f"the job {job} was not deleted")
