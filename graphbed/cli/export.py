"""`graphbed export`: a checkpoint as files that other tools read."""

import os
from pathlib import Path
from typing import Annotated

import typer

from graphbed.cli.arguments import AsJson, JobFile
from graphbed.cli.output import print_json
from graphbed.cli.trained import open_trained


def export(
    job: JobFile,
    out: Annotated[Path, typer.Option("--out", help="Folder to make; it must not exist, or be empty.")],
    file_format: Annotated[str, typer.Option("--format", help="npy, parquet or tsv.")] = "npy",
    as_json: AsJson = False,
) -> None:
    """Write names, embeddings and relation parameters; the folder appears complete or not at all."""
    from graphbed.export.export import export as run_export

    with open_trained(job, os.environ) as trained:
        files = run_export(trained.store, trained.checkpoint, file_format, out)
    if as_json:
        print_json({"format": file_format, "out": str(out), "files": [str(file.relative_to(out)) for file in files]})
        return
    for file in files:
        typer.echo(f"{file.stat().st_size:>14,} bytes  {file}")
