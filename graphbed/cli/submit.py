"""`graphbed submit`: give a job to a running cluster."""

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, JobFile, LockServer
from graphbed.cli.output import print_json
from graphbed.config.load import dump_job, load_job


def submit(job: JobFile, lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """Give the job to the cluster; its graph must be in the cluster's store. Done again, nothing happens."""
    from graphbed.clients.lockserver import LockServerClient

    config = load_job(job)
    with LockServerClient(lockserver) as client:
        name, created = client.submit(dump_job(config))
    if as_json:
        print_json({"job": name, "created": created})
    else:
        typer.echo(f"job {name} {'submitted' if created else 'was submitted before'}")
