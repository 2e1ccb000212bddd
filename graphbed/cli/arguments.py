"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

JobFile = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="The job's configuration.", show_default=False)]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="Name of the job.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
LockServer = Annotated[
    str, typer.Option(metavar="HOST:PORT", envvar="GRAPHBED_LOCKSERVER", help="The cluster's lock server.")
]

DEFAULT_LOCKSERVER = "127.0.0.1:7101"
