"""`graphbed status`: what the jobs of a running cluster do."""

from typing import Annotated, Any

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, LockServer
from graphbed.cli.output import print_json, table
from graphbed.v1 import lockserver_pb2


def status(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Name of one job.", show_default=False)] = None,
    lockserver: LockServer = DEFAULT_LOCKSERVER,
    as_json: AsJson = False,
) -> None:
    """All jobs of the cluster, or one with its leases and epochs."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        if job is None:
            jobs = [summary(entry) for entry in client.list_jobs()]
            if as_json:
                print_json({"jobs": jobs})
            else:
                typer.echo(render_jobs(jobs) if jobs else "no jobs")
        else:
            document = describe(client.get_job(job))
            if as_json:
                print_json(document)
            else:
                typer.echo(render_job(document))


def summary(entry: lockserver_pb2.JobSummary) -> dict[str, Any]:
    """One job as JSON."""
    return {
        "job": entry.job,
        "status": lockserver_pb2.JobStatus.Name(entry.status).removeprefix("JOB_STATUS_").lower(),
        "epoch": entry.epoch,
        "num_epochs": entry.num_epochs,
        "buckets_done": entry.buckets_done,
        "buckets_total": entry.buckets_total,
        "edges_done": entry.edges_done,
        "edges_total": entry.edges_total,
        "live_leases": entry.live_leases,
        "buckets_skipped": entry.buckets_skipped,
        "buckets_quarantined": entry.buckets_quarantined,
        "priority": entry.priority,
    }


def lease_facts(lease: lockserver_pb2.LeaseInfo) -> dict[str, Any]:
    """One lease as JSON."""
    return {
        "lease_id": lease.lease_id,
        "trainer": lease.trainer_id,
        "epoch": lease.epoch,
        "buckets": [[bucket.lhs, bucket.rhs] for bucket in lease.buckets],
        "partitions": [[partition.entity_type, partition.index] for partition in lease.partitions],
        "phase": lockserver_pb2.Phase.Name(lease.progress.phase).removeprefix("PHASE_").lower(),
        "edges": lease.progress.edges,
        "edges_total": lease.edges,
    }


def describe(reply: lockserver_pb2.GetJobResponse) -> dict[str, Any]:
    """One job with its leases and epochs as JSON."""
    return {
        **summary(reply.summary),
        "edges_per_second": reply.edges_per_second if reply.HasField("edges_per_second") else None,
        "seconds_left": reply.time_left.ToTimedelta().total_seconds() if reply.HasField("time_left") else None,
        "checkpoint": reply.manifest_sequence,
        "last_failure": reply.last_failure or None,
        "leases": [lease_facts(lease) for lease in reply.leases],
        "epochs": [
            {"epoch": epoch.epoch, "edges": epoch.edges, "loss": epoch.loss, "leases": epoch.leases}
            for epoch in reply.epochs
        ],
    }


def render_jobs(jobs: list[dict[str, Any]]) -> str:
    """One line a job."""
    return table(
        ("job", "status", "epochs", "buckets", "edges", "done", "leases", "priority"),
        [
            (
                job["job"],
                job["status"],
                f"{job['epoch']}/{job['num_epochs']}",
                f"{job['buckets_done']}/{job['buckets_total']}",
                f"{job['edges_done']:,}/{job['edges_total']:,}",
                f"{job['edges_done'] / job['edges_total']:.0%}" if job["edges_total"] else "-",
                str(job["live_leases"]),
                str(job["priority"]),
            )
            for job in jobs
        ],
    )


def render_job(job: dict[str, Any]) -> str:
    """A job, then its live leases, then the loss of its epochs."""
    parts = [render_jobs([job]), f"checkpoint {job['checkpoint']}" if job["checkpoint"] else "no checkpoint yet"]
    if job["buckets_quarantined"]:
        parts.append(f"{job['buckets_quarantined']} buckets are quarantined; `graphbed buckets list` shows them")
    if job["last_failure"]:
        parts.append(f"last failure: {job['last_failure']}")
    if job["leases"]:
        leases = [
            (lease["trainer"], str(lease["epoch"]), lease["phase"], str(len(lease["buckets"])), f"{lease['edges']:,}")
            for lease in job["leases"]
        ]
        parts.append(table(("trainer", "epoch", "phase", "buckets", "edges"), leases))
    if job["epochs"]:
        epochs = [
            (str(epoch["epoch"]), f"{epoch['edges']:,}", f"{epoch['loss'] / max(epoch['edges'], 1):.4f}")
            for epoch in job["epochs"]
        ]
        parts.append(table(("epoch", "edges", "loss per edge"), epochs))
    return "\n\n".join(parts)
