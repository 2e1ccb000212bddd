"""What a job is, apart from its state: its configuration, its graph, and the plan that follows from both."""

from dataclasses import dataclass
from typing import Self

from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.errors import ConfigDiffers, GraphMissing, JobUnknown, ObjectMissing
from graphbed.storage import layout
from graphbed.storage.chain import newest_readable
from graphbed.storage.graph_document import read_graph_and_sha256
from graphbed.storage.manifest import Manifest
from graphbed.storage.objects import ObjectStore, sha256_hex
from services.lockserver.plan import Plan
from services.lockserver.state import Header


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """A job's configuration and its plan. Where the graph lies is decided by the cluster, not by `config.store`."""

    config: JobConfig
    config_yaml: str
    """As it was submitted."""
    graph_sha256: str
    plan: Plan
    has_graph: bool = True
    """Without its graph a job can be cancelled and deleted, and nothing else."""

    @property
    def document_sha256(self) -> str:
        """SHA-256 of the configuration as it was submitted."""
        return sha256_hex(self.config_yaml.encode())

    @classmethod
    def from_yaml(cls, store: ObjectStore, text: str, *, source: str) -> Self:
        """Parse and plan a job. Raises BadConfig, GraphMissing, ObjectCorrupt."""
        config = parse_job(text, source=source)
        schema, sha256 = read_graph_and_sha256(store, config.graph)
        plan = Plan.from_config(config, schema)
        return cls(config=config, config_yaml=text, graph_sha256=sha256, plan=plan)

    @classmethod
    def load(cls, store: ObjectStore, job: str) -> Self:
        """A job that was submitted before; one whose graph was removed is what its newest manifest tells of it.

        Raises JobUnknown, and what `from_yaml` raises.
        """
        key = layout.job_document(job)
        try:
            text = store.get(key).decode()
        except ObjectMissing:
            raise JobUnknown(job=job) from None
        try:
            return cls.from_yaml(store, text, source=key)
        except GraphMissing:
            manifest = newest_readable(store, job)
            if manifest is None:
                raise
        config = parse_job(text, source=key)
        plan = Plan.without_graph(config, [entry.bucket for entry in manifest.progress])
        return cls(config=config, config_yaml=text, graph_sha256=manifest.graph_sha256, plan=plan, has_graph=False)

    def is_same(self, header: Header | Manifest) -> bool:
        """Whether a state or manifest belongs to this configuration and this graph."""
        return (header.graph_sha256, header.config_sha256) == (self.graph_sha256, self.config.digest())

    def require_same(self, header: Header | Manifest) -> None:
        """Raise ConfigDiffers if a state or manifest belongs to another configuration or another graph."""
        if header.graph_sha256 != self.graph_sha256:
            what = f"the graph {self.config.graph} was ingested anew, with other content"
            raise ConfigDiffers(job=self.config.job, keys=what)
        if header.config_sha256 != self.config.digest():
            what = f"{layout.job_document(self.config.job)} was replaced"
            raise ConfigDiffers(job=self.config.job, keys=what)
