"""`graphbed ingest`: from text files to a graph in the store."""

import os
from dataclasses import asdict

import typer

from graphbed.cli.arguments import AsJson, JobFile
from graphbed.cli.output import print_json, progress_bar
from graphbed.config.load import load_job


def ingest(job: JobFile, as_json: AsJson = False) -> None:
    """Cut the job's edges into partitions and buckets; done again with the same files, nothing happens."""
    from graphbed.ingest.run import ingest as run_ingest
    from graphbed.storage.address import open_store

    config = load_job(job)
    store = open_store(config.store, os.environ)
    with progress_bar() as watch:
        summary = run_ingest(config, store, watch)
    if as_json:
        print_json(asdict(summary))
        return
    entities = ", ".join(f"{count:,} {kind} in {summary.partitions[kind]}" for kind, count in summary.entities.items())
    edges = ", ".join(f"{count:,} {split}" for split, count in summary.edges.items())
    done = "ingested into" if summary.created else "is there already, and the same, in"
    typer.echo(f"graph {summary.graph} {done} {summary.store}")
    typer.echo(f"entities in partitions: {entities}")
    typer.echo(f"relations: {summary.relations}   edges: {edges}   buckets: {summary.buckets}")
    if summary.unused_relations:
        typer.echo(f"relations without edges: {', '.join(summary.unused_relations)}")
