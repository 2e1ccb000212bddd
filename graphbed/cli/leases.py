"""`graphbed leases`: who works on what, and ending it."""

from typing import Annotated

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, LockServer
from graphbed.cli.output import print_json, table
from graphbed.cli.status import lease_facts

leases = typer.Typer(help="See the live leases of a cluster, or end one.", no_args_is_help=True)


@leases.command("list")
def list_leases(
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Leases of this job alone.")] = None,
    lockserver: LockServer = DEFAULT_LOCKSERVER,
    as_json: AsJson = False,
) -> None:
    """The live leases of all jobs."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        jobs = [job] if job else [entry.job for entry in client.list_jobs() if entry.live_leases]
        found = [{"job": name, **lease_facts(lease)} for name in jobs for lease in client.get_job(name).leases]
    if as_json:
        print_json({"leases": found})
        return
    rows = [
        (
            lease["lease_id"],
            lease["job"],
            lease["trainer"],
            str(lease["epoch"]),
            lease["phase"],
            str(len(lease["buckets"])),
            f"{lease['edges']:,}",
        )
        for lease in found
    ]
    typer.echo(table(("lease", "job", "trainer", "epoch", "phase", "buckets", "edges"), rows) if rows else "no leases")


@leases.command()
def revoke(
    lease: Annotated[str, typer.Argument(metavar="LEASE", help="Id of the lease.", show_default=False)],
    lockserver: LockServer = DEFAULT_LOCKSERVER,
    as_json: AsJson = False,
) -> None:
    """End a lease: its buckets are due at once, and its trainer is told when it renews."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        reply = client.revoke_lease(lease)
    if as_json:
        print_json({"lease_id": lease, "job": reply.job, "trainer": reply.trainer_id})
    else:
        typer.echo(f"lease {lease} of job {reply.job} taken from {reply.trainer_id}")
