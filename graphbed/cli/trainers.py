"""`graphbed trainers`: who is there, and letting one go."""

from typing import Annotated

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER, AsJson, LockServer
from graphbed.cli.output import print_json, table

trainers = typer.Typer(help="See the trainers of a cluster, or let one go.", no_args_is_help=True)


@trainers.command("list")
def list_trainers(lockserver: LockServer = DEFAULT_LOCKSERVER, as_json: AsJson = False) -> None:
    """The trainers that worked for a job which has not ended, those that are gone included."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        found = client.list_trainers()
    if as_json:
        documents = [
            {
                "trainer": trainer.trainer_id,
                "draining": trainer.draining,
                "leases": [{"job": lease.job, "lease_id": lease.lease_id} for lease in trainer.leases],
            }
            for trainer in found
        ]
        print_json({"trainers": documents})
        return
    rows = [
        (
            trainer.trainer_id,
            "yes" if trainer.draining else "no",
            ", ".join(dict.fromkeys(lease.job for lease in trainer.leases)),
        )
        for trainer in found
    ]
    typer.echo(table(("trainer", "draining", "works for"), rows) if rows else "no trainers")


@trainers.command()
def drain(
    trainer: Annotated[str, typer.Argument(metavar="TRAINER", help="Id of the trainer.", show_default=False)],
    undo: Annotated[bool, typer.Option("--undo", help="Give it work again.")] = False,
    lockserver: LockServer = DEFAULT_LOCKSERVER,
    as_json: AsJson = False,
) -> None:
    """Let a trainer finish what it works on and then end; it is given no new lease."""
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        held = client.drain_trainer(trainer, undo=undo)
    if as_json:
        print_json({"trainer": trainer, "draining": not undo, "leases": [lease.lease_id for lease in held]})
    elif undo:
        typer.echo(f"trainer {trainer} is given work again")
    else:
        typer.echo(f"trainer {trainer} is given no new lease; it still holds {len(held)}")
