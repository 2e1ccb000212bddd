"""A job that was trained, opened by its configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from graphbed.config.load import load_job
from graphbed.errors import ConfigDiffers

if TYPE_CHECKING:
    from graphbed.model.checkpoint import Checkpoint
    from graphbed.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The store of a job and its newest checkpoint."""

    store: "ObjectStore"
    checkpoint: "Checkpoint"

    @classmethod
    def open(cls, path: Path, environ: Mapping[str, str]) -> Self:
        """Open the newest checkpoint of the job in `path`.

        Raises BadConfig, InputError, CheckpointMissing, what a store raises, and ConfigDiffers if the checkpoint was
        made with another configuration: what it holds would be read wrongly.
        """
        from graphbed.model.checkpoint import Checkpoint
        from graphbed.storage.address import open_store

        config = load_job(path)
        store = open_store(config.store, environ)
        checkpoint = Checkpoint.read(store, config.job)
        if differences := config.differences(checkpoint.config):
            raise ConfigDiffers(job=config.job, keys="; ".join(differences))
        return cls(store=store, checkpoint=checkpoint)
