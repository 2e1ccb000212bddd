"""`graphbed buckets`: what failed, and making what was skipped due again."""

from typing import Annotated, Any

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, LockServer
from graphbed.cli.output import print_json, table
from graphbed.errors import InputError
from graphbed.graph.partition import Bucket
from graphbed.v1 import lockserver_pb2

JobOption = Annotated[str, typer.Option("--job", metavar="JOB", help="Name of the job.", show_default=False)]

buckets = typer.Typer(help="See the buckets that failed, or make skipped ones due again.", no_args_is_help=True)


@buckets.command("list")
def list_buckets(job: JobOption, lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """The buckets of a job that failed since their last commit, or were skipped in an epoch."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        found = [_describe(bucket) for bucket in client.list_buckets(job)]
    if as_json:
        print_json({"job": job, "buckets": found})
        return
    rows = [
        (
            f"{bucket['lhs']} {bucket['rhs']}",
            str(bucket["epoch"]),
            str(len(bucket["failed_by"])),
            str(bucket["silent_leases"]),
            ", ".join(map(str, bucket["skipped_epochs"])),
            "yes" if bucket["quarantined"] else "no",
            bucket["reason"],
        )
        for bucket in found
    ]
    header = ("bucket", "epoch", "failures", "silent", "skipped in", "quarantined", "reason")
    typer.echo(table(header, rows) if rows else "no bucket failed")


@buckets.command()
def unquarantine(
    job: JobOption,
    bucket: Annotated[
        list[int] | None, typer.Argument(metavar="[LHS RHS]", help="The bucket.", show_default=False)
    ] = None,
    all_buckets: Annotated[bool, typer.Option("--all", help="All that are quarantined.")] = False,
    lockserver: LockServer = DEFAULT_LOCKSERVER,
    as_json: AsJson = False,
) -> None:
    """Make a skipped bucket, or all of them, due again in the epoch that skipped it."""
    from graphbed.clients.lockserver import LockServerClient

    if (len(bucket or []) != 2) is not all_buckets or (all_buckets and bucket) or min(bucket or [0]) < 0:
        raise InputError(what="say which bucket: LHS RHS, two numbers from 0, or --all")
    with LockServerClient(lockserver) as client:
        found = client.unquarantine(job, None if all_buckets else Bucket(*bucket or []))
    if as_json:
        print_json({"job": job, "buckets": [[due.lhs, due.rhs] for due in found]})
    else:
        typer.echo(f"job {job}: {len(found)} buckets are due again")


def _describe(info: lockserver_pb2.BucketInfo) -> dict[str, Any]:
    return {
        "lhs": info.bucket.lhs,
        "rhs": info.bucket.rhs,
        "epoch": info.epoch,
        "failed_by": list(info.failed_by),
        "silent_leases": info.silent_leases,
        "skipped_epochs": list(info.skipped_epochs),
        "quarantined": info.quarantined,
        "reason": info.reason,
    }
