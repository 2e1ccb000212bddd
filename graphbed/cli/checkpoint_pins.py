"""`graphbed checkpoints list|pin|unpin`: which checkpoints a job keeps and why, and keeping one on purpose."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbed.cli.arguments import AsJson
from graphbed.cli.job_choice import AnyJob, AnyLockServer, open_job
from graphbed.cli.output import print_json, table
from graphbed.clock import SystemClock

if TYPE_CHECKING:
    from graphbed.config.job import JobConfig
    from graphbed.storage.objects import ObjectStore


def list_checkpoints(job: AnyJob, lockserver: AnyLockServer = None, as_json: AsJson = False) -> None:
    """The checkpoints of a job, what each needs, and why it is kept."""
    config, store = open_job(job, lockserver)
    listed = describe(store, config)
    if as_json:
        print_json({"job": config.job, "checkpoints": listed})
        return
    rows = [
        (
            str(entry["sequence"]),
            str(entry["generation"]),
            str(entry["epoch"]),
            entry["status"],
            datetime.fromtimestamp(entry["written_at"], UTC).strftime("%Y-%m-%d %H:%M:%S"),
            f"{entry['bytes']:,}",
            "-" if entry["mrr"] is None else f"{entry['mrr']:.4f}",
            ", ".join(entry["kept"]) or "-",
        )
        for entry in listed
    ]
    header = ("checkpoint", "generation", "epoch", "status", "written (UTC)", "bytes", "MRR", "kept because")
    typer.echo(table(header, rows) if rows else f"job {config.job} has no checkpoint")


def pin(
    job: AnyJob,
    sequence: Annotated[int | None, typer.Option(min=1, help="Number of the checkpoint; else the newest.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the pin; else it is called after the number.")] = None,
    lockserver: AnyLockServer = None,
    as_json: AsJson = False,
) -> None:
    """Keep a checkpoint whole until it is unpinned; answered when it is safe."""
    from graphbed.storage import layout
    from graphbed.storage.manifest import require_newest
    from graphbed.storage.pins import pin_manifest

    config, store = open_job(job, lockserver)
    chosen = require_newest(store, config.job).sequence if sequence is None else sequence
    called = name or f"checkpoint-{chosen}"
    pin_manifest(store, config.job, chosen, called, written_at=SystemClock().wall())
    manifest = layout.manifest(config.job, chosen)
    if as_json:
        print_json({"job": config.job, "checkpoint": chosen, "manifest": manifest, "pin": called})
    else:
        typer.echo(f"checkpoint {chosen} of {config.job} is pinned as {called}: {manifest} and all that it names")


def unpin(
    job: AnyJob,
    name: Annotated[str, typer.Argument(metavar="PIN", help="Name of the pin.", show_default=False)],
    lockserver: AnyLockServer = None,
    as_json: AsJson = False,
) -> None:
    """Remove a pin; what only it kept is collected."""
    from graphbed.storage.pins import unpin as remove

    config, store = open_job(job, lockserver)
    sequence = remove(store, config.job, name)
    if as_json:
        print_json({"job": config.job, "checkpoint": sequence, "unpinned": name})
    else:
        typer.echo(f"checkpoint {sequence} of {config.job} is not pinned as {name} any more")


def describe(store: "ObjectStore", config: "JobConfig") -> list[dict[str, Any]]:
    """Each manifest that can be read, with what it needs and why it is kept; nothing is a reason for those given up."""
    from graphbed.errors import ObjectCorrupt
    from graphbed.storage.chain import named_objects
    from graphbed.storage.condemned import condemned_sequences
    from graphbed.storage.evaluation_file import read_scores
    from graphbed.storage.manifest import manifest_sequences, read_manifest
    from graphbed.storage.pins import names_by_sequence, read_pins
    from graphbed.storage.retention import reasons_to_keep
    from services.lockserver.survey import retention_of

    manifests = []
    for sequence in manifest_sequences(store, config.job):
        try:
            manifests.append(read_manifest(store, config.job, sequence)[0])
        except ObjectCorrupt as error:
            typer.echo(f"graphbed: {error}", err=True)
    condemned = condemned_sequences(store, config.job)
    scores = read_scores(store, config.job, [told.sequence for told in manifests])
    kept = reasons_to_keep(
        ((told.sequence, told.completed_epochs) for told in manifests if told.sequence not in condemned),
        retention_of(config.checkpoint),
        names_by_sequence(read_pins(store, config.job)),
        scores,
    )
    return [
        {
            "sequence": told.sequence,
            "generation": told.generation,
            "epoch": told.completed_epochs,
            "status": "condemned" if told.sequence in condemned else told.status,
            "written_at": told.written_at,
            "mrr": scores.get(told.sequence),
            "bytes": sum(version.size for version in named_objects(told)),
            "kept": kept.get(told.sequence, []),
        }
        for told in manifests
    ]
