"""`graphbed`: everything one does with a graph, from text files to neighbours."""

import os
import sys
from collections.abc import Callable, Sequence

import typer

from graphbed import logs
from graphbed.cli.bench import bench
from graphbed.cli.buckets import buckets
from graphbed.cli.cancel import cancel
from graphbed.cli.checkpoints import checkpoints
from graphbed.cli.evaluate import evaluate
from graphbed.cli.export import export
from graphbed.cli.ingest import ingest
from graphbed.cli.jobs import jobs
from graphbed.cli.leases import leases
from graphbed.cli.neighbors import neighbors
from graphbed.cli.pause import pause, resume
from graphbed.cli.plan import plan
from graphbed.cli.quickstart import quickstart
from graphbed.cli.status import status
from graphbed.cli.submit import submit
from graphbed.cli.train import train
from graphbed.cli.trainers import trainers
from graphbed.cli.tune import tune
from graphbed.cli.watch import watch
from graphbed.errors import WRONG_INPUT, GraphbedError, exit_code

COMMANDS: Sequence[tuple[str, Callable[..., None]]] = (
    ("quickstart", quickstart),
    ("ingest", ingest),
    ("plan", plan),
    ("bench", bench),
    ("train", train),
    ("tune", tune),
    ("eval", evaluate),
    ("neighbors", neighbors),
    ("export", export),
    ("submit", submit),
    ("cancel", cancel),
    ("pause", pause),
    ("resume", resume),
    ("status", status),
    ("watch", watch),
)
"""Name → function, in the order of `graphbed --help`."""

GROUPS: Sequence[tuple[str, typer.Typer]] = (
    ("jobs", jobs),
    ("leases", leases),
    ("buckets", buckets),
    ("trainers", trainers),
    ("checkpoints", checkpoints),
)
"""Name → commands of their own, after the others."""

INTERRUPTED = 130


def application() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="graphbed",
        help="Embeddings for graphs that are too large for one machine.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, command in COMMANDS:
        app.command(name)(command)
    for name, group in GROUPS:
        app.add_typer(group, name=name)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what goes wrong is one line on stderr."""
    command = typer.main.get_command(application())
    try:
        # A command tells what matters itself; what the servers of a standalone run log is for those who ask for it.
        logs.configure(level=os.environ.get("GRAPHBED_LOG_LEVEL", "error"), format="text", service="graphbed")
        code = command.main(args=list(arguments), prog_name="graphbed", standalone_mode=False)
    except (
        typer.TyperException
    ) as error:  # a usage error; without arguments, help was printed and nothing is left to say
        return _fail(error.format_message(), WRONG_INPUT)
    except GraphbedError as error:
        return _fail(str(error), exit_code(error))
    except OSError as error:  # a folder or a disk that the command writes to by itself
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}", WRONG_INPUT)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code
        return _fail("interrupted", INTERRUPTED)
    # A command that found something wrong, and has said so, leaves a code.
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    # Messages may hold names from the data, and those any character: a line stays one line.
    if line := " ".join(message.split()):
        typer.echo(f"graphbed: {line}", err=True)
    return code


def main() -> None:
    """Entry point of `graphbed`."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
