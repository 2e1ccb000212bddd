"""`graphbed checkpoints gc`: deleting at once what nobody needs any more, or telling what would go, and why the rest
stays."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from graphbed.cli.arguments import AsJson
from graphbed.cli.job_choice import AnyJob, AnyLockServer, in_cluster
from graphbed.cli.output import print_json
from graphbed.config.load import load_job
from graphbed.v1 import lockserver_pb2


def collect(
    job: AnyJob,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; tell what would go.")] = False,
    lockserver: AnyLockServer = None,
    as_json: AsJson = False,
) -> None:
    """Delete what no kept checkpoint, lease, pin or reader needs any more, without waiting for the lock servers."""
    if there := in_cluster(job, lockserver):
        from graphbed.clients.lockserver import LockServerClient
        from graphbed.clients.parts import collect_in_parts

        name, address = there
        with LockServerClient(address) as client:
            replies = collect_in_parts(lambda: client.collect(name, dry_run=dry_run), dry_run=dry_run)
    else:
        from services.standalone.upkeep import collect as collect_here

        config = load_job(Path(job))
        name, replies = config.job, collect_here(config, dry_run=dry_run, environ=os.environ)
    document = _describe(name, replies, dry_run=dry_run)
    if as_json:
        print_json(document)
    else:
        typer.echo(_render(document))


def _describe(job: str, replies: list[lockserver_pb2.CollectResponse], *, dry_run: bool) -> dict[str, Any]:
    last = replies[-1]
    return {
        "job": job,
        "dry_run": dry_run,
        "objects": sum(reply.objects for reply in replies),
        "bytes": sum(reply.bytes for reply in replies),
        "condemned": sorted(sequence for reply in replies for sequence in reply.condemned),
        "kept": [{"checkpoint": kept.sequence, "because": list(kept.reasons)} for kept in last.kept],
        "live_bytes": last.live_bytes,
        "kept_bytes": last.kept_bytes,
        "waiting_bytes": last.waiting_bytes,
    }


def _render(document: dict[str, Any]) -> str:
    would = "would be " if document["dry_run"] else ""
    given_up = ", ".join(map(str, document["condemned"])) or "none"
    return "\n".join(
        [
            f"job {document['job']}: {document['objects']:,} objects, {document['bytes']:,} bytes {would}deleted; "
            f"checkpoints {would}given up: {given_up}",
            f"  {document['live_bytes']:,} bytes stay: the job or its newest checkpoint needs them",
            f"  {document['kept_bytes']:,} bytes stay: only older checkpoints need them",
            f"  {document['waiting_bytes']:,} bytes wait until later checkpoints are written without them",
            *(f"  checkpoint {kept['checkpoint']} is kept: {', '.join(kept['because'])}" for kept in document["kept"]),
        ]
    )
