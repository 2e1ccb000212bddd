"""`graphbed checkpoints`: looking at a job's checkpoints, and going back to one."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphbed.cli.arguments import AsJson
from graphbed.cli.checkpoint_pins import list_checkpoints, pin, unpin
from graphbed.cli.garbage import collect
from graphbed.cli.job_choice import AnyJob, AnyLockServer, in_cluster, open_job
from graphbed.cli.output import print_json
from graphbed.config.load import load_job
from graphbed.errors import FAILED

if TYPE_CHECKING:
    from graphbed.storage.fsck import Report

DAMAGES_SHOWN = 20

checkpoints = typer.Typer(help="List, keep and check a job's checkpoints, or go back to one.", no_args_is_help=True)
checkpoints.command("list")(list_checkpoints)
checkpoints.command()(pin)
checkpoints.command()(unpin)
checkpoints.command("gc")(collect)


@checkpoints.command()
def restore(
    job: AnyJob,
    sequence: Annotated[int, typer.Option(min=1, help="Number of the checkpoint to go back to.", show_default=False)],
    lockserver: AnyLockServer = None,
    as_json: AsJson = False,
) -> None:
    """Let a job go on from an older checkpoint, or from the one before if it is damaged; a new one follows it."""
    if there := in_cluster(job, lockserver):
        from graphbed.clients.lockserver import LockServerClient

        name, address = there
        with LockServerClient(address) as client:
            reply = client.restore(name, sequence)
        result = {"job": name, "generation": reply.generation, "checkpoint": reply.manifest_sequence}
        follows = reply.follows or sequence
    else:
        from services.standalone.upkeep import restore as restore_here

        manifest = restore_here(load_job(Path(job)), sequence, environ=os.environ)
        result = {"job": manifest.job, "generation": manifest.generation, "checkpoint": manifest.sequence}
        follows = manifest.parent
    if as_json:
        print_json({**result, "follows": follows})
        return
    if follows != sequence:
        typer.echo(f"graphbed: checkpoint {sequence} is not whole; `graphbed checkpoints fsck` tells why", err=True)
    typer.echo(f"job {result['job']} goes on from checkpoint {follows}, as checkpoint {result['checkpoint']}")


@checkpoints.command()
def fsck(
    job: AnyJob,
    deep: Annotated[bool, typer.Option("--deep", help="Read every object and compare its checksum.")] = False,
    lockserver: AnyLockServer = None,
    as_json: AsJson = False,
) -> None:
    """Check that every checkpoint is readable, follows its parent, and names only what is there."""
    from graphbed.storage.condemned import condemned_sequences
    from graphbed.storage.fsck import check_job

    config, store = open_job(job, lockserver)
    condemned = frozenset(condemned_sequences(store, config.job))
    report = check_job(store, config.job, deep=deep, condemned=condemned)
    if as_json:
        print_json(asdict(report))
    else:
        _show(report, deep=deep)
    if report.damages:
        raise typer.Exit(FAILED)


def _show(report: "Report", *, deep: bool) -> None:
    typer.echo(
        f"job {report.job}: {report.manifests} checkpoints of {report.generations} generations, "
        f"{report.objects} objects, {report.size:,} bytes {'read and compared' if deep else 'found'}"
    )
    for damage in report.damages[:DAMAGES_SHOWN]:
        needed = f", needed by checkpoint {', '.join(map(str, damage.manifests))}" if damage.manifests else ""
        typer.echo(f"  {damage.key} {damage.what}{needed}")
    if len(report.damages) > DAMAGES_SHOWN:
        typer.echo(f"  and {len(report.damages) - DAMAGES_SHOWN} more; --json tells all")
    if report.damages:
        whole = f"checkpoint {report.newest_whole}" if report.newest_whole else "none"
        typer.echo(f"the newest whole one: {whole}")
