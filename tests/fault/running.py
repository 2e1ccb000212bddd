"""A job that runs on a cluster of real processes while faults meet it, and what its history says of a moment."""

from collections.abc import Callable
from typing import Any

from graphbed.config.job import JobConfig
from tests.checker.lines import Line, Operation
from tests.fixtures.cluster import Cluster, wait_for
from tests.fixtures.graphs import codex_job, ingest_quietly

TTL_SECONDS = 5.0


def start_job(cluster: Cluster, *, first_commits: int = 3, **changes: Any) -> JobConfig:
    """Many short leases; more epochs than any test needs, unless `changes` say otherwise. Some are committed."""
    config = codex_job(
        cluster.store_url,
        **{
            "num_epochs": 400,
            "entities": {"entity": {"num_partitions": 8}},
            "num_groups": 8,
            "num_uniform_negs": 20,
            "lease": {"ttl_seconds": TTL_SECONDS},
            "checkpoint": {"interval_seconds": 1.0},
            **changes,
        },
    )
    ingest_quietly(config, cluster.store)
    cluster.submit(config)
    wait_for_commits(cluster, config, first_commits)
    return config


def wait_for_commits(cluster: Cluster, config: JobConfig, more: int, *, seconds: float = 120.0) -> None:
    """Return when that many more leases are committed than now. Raises AssertionError."""
    before = len(commits(cluster, config))
    happened = wait_for(lambda: len(commits(cluster, config)) >= before + more, seconds)
    assert happened, f"fewer than {more} commits in {seconds} s:\n" + cluster.log(cluster.lockservers[0])[-2000:]


def commits(cluster: Cluster, config: JobConfig) -> list[str]:
    """Leases that lock servers told to have committed."""
    return [lease for line in changes(cluster, config) for lease in line.facts.get("committed", [])]


def changes(cluster: Cluster, config: JobConfig) -> list[Line]:
    """The changes that are known to have been made."""
    lines = cluster.lines()
    made = {line.facts["after"] for line in lines if line.event == "changed" and line.facts["done"]}
    return [line for line in lines if line.event == "change" and line.facts["after"] in made]


def live_leases(cluster: Cluster, config: JobConfig, trainer: str) -> list[str]:
    """Leases that one trainer was granted and that have not ended."""
    made = changes(cluster, config)
    ended = {lease for line in made for lease in line.facts.get("ended", [])}
    answered = {o.facts["lease"] for o in operations_of(cluster, config, "acquire", trainer) if o.succeeded}
    granted = [lease["lease"] for line in made for lease in line.facts.get("granted", [])]
    return [lease for lease in granted if lease in answered and lease not in ended]


def operations_of(cluster: Cluster, config: JobConfig, name: str, trainer: str) -> list[Operation]:
    """What one trainer did, in the order of the beginnings."""
    found = cluster.evidence(config).of(name)
    return [operation for operation in found if cluster.name_of(operation.begun.process) == trainer]


def until(look: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
    """What `look` gives once it is true. Raises AssertionError that names `what`."""
    found: list[Any] = []

    def looked() -> bool:
        found[:] = [look()]
        return bool(found[0])

    assert wait_for(looked, seconds), f"{what} did not happen within {seconds} s"
    return found[0]
