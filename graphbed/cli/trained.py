"""A job that was trained, opened by its configuration file."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from graphbed.clock import SystemClock
from graphbed.config.load import load_job
from graphbed.errors import ConfigDiffers, GraphbedError

if TYPE_CHECKING:
    from graphbed.model.checkpoint import Checkpoint
    from graphbed.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The store of a job and its newest checkpoint."""

    store: "ObjectStore"
    checkpoint: "Checkpoint"


@contextmanager
def open_trained(path: Path, environ: Mapping[str, str]) -> Iterator[Trained]:
    """The newest checkpoint of the job in `path`; garbage collection leaves it whole as long as the context lasts.

    Raises BadConfig, InputError, CheckpointMissing, what a store raises, and ConfigDiffers if the checkpoint was made
    with another configuration: what it holds would be read wrongly.
    """
    from graphbed.model.checkpoint import Checkpoint
    from graphbed.storage.address import open_store
    from graphbed.storage.reading import newest_pinned

    config = load_job(path)
    store = open_store(config.store, environ)
    reader_id = secrets.token_hex(16)
    with newest_pinned(
        store, config.job, reader_id=reader_id, clock=SystemClock(), unprotected=_say_unprotected
    ) as manifest:
        checkpoint = Checkpoint.read(store, config.job, manifest)
        if differences := config.differences(checkpoint.config):
            raise ConfigDiffers(job=config.job, keys="; ".join(differences))
        yield Trained(store=store, checkpoint=checkpoint)


def _say_unprotected(error: GraphbedError) -> None:
    typer.echo(f"graphbed: read without a pin, so a running job may collect what is read: {error}", err=True)
